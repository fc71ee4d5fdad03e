# Mask R-CNN, its masks from a Teacher's score map, on AMi-Br fields.
_base_ = [
    '../_base_/models/detection/mask-rcnn_lite0_score-map.py',
    '../_base_/datasets/points/amibr_fields.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
