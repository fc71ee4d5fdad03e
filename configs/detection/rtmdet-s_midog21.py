# RTMDet-s, on MIDOG21.
_base_ = [
    '../_base_/models/detection/rtmdet-s.py',
    '../_base_/datasets/points/midog21.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
