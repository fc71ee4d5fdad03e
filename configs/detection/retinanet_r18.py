# RetinaNet with ResNet-18.
_base_ = [
    '../_base_/models/detection/retinanet_r18-fpn.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
