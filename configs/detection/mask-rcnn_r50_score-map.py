# Mask R-CNN with ResNet-50, its masks from a Teacher's score map.
_base_ = [
    '../_base_/models/detection/mask-rcnn_r50-fpn_score-map.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]

model = dict(masks=dict(checkpoint=f'work_dirs/lite0_max_strong_{_base_.data_name}/best.pth'))
