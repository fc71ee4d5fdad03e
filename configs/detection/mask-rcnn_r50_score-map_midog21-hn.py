# Mask R-CNN with ResNet-50, its masks from a Teacher's score map, on MIDOG21 with hard negatives as positives.
_base_ = [
    '../_base_/models/detection/mask-rcnn_r50-fpn_score-map.py',
    '../_base_/datasets/points/midog21_hn.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]

model = dict(masks=dict(checkpoint='work_dirs/lite0_max_strong_midog21-hn/best.pth'))
