# RetinaNet on ResNet-18.
_base_ = './retinanet_r50-fpn.py'

model = dict(detector=dict(backbone=dict(depth=18), neck=dict(in_channels=[128, 256, 512])))
