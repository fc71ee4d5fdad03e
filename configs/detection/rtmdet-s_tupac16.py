# RTMDet-s, on TUPAC16.
_base_ = [
    '../_base_/models/detection/rtmdet-s.py',
    '../_base_/datasets/points/tupac16.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
