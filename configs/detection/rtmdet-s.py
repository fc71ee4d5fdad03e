# RTMDet-s.
_base_ = [
    '../_base_/models/detection/rtmdet-s.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
