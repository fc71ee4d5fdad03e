# FCOS with ResNet-50.
_base_ = [
    '../_base_/models/detection/fcos_r50-fpn.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
