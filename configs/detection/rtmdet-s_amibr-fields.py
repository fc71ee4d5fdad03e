# RTMDet-s, on AMi-Br fields.
_base_ = [
    '../_base_/models/detection/rtmdet-s.py',
    '../_base_/datasets/points/amibr_fields.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
