# Mask R-CNN with ResNet-50, its masks from a Teacher's score map, on MIDOG21.
_base_ = [
    '../_base_/models/detection/mask-rcnn_r50-fpn_score-map.py',
    '../_base_/datasets/points/midog21.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]

model = dict(masks=dict(checkpoint='work_dirs/lite0_max_strong_midog21/best.pth'))
