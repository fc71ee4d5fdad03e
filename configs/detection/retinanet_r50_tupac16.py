# RetinaNet with ResNet-50, on TUPAC16.
_base_ = [
    '../_base_/models/detection/retinanet_r50-fpn.py',
    '../_base_/datasets/points/tupac16.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
