# Mask R-CNN, its masks discs.
_base_ = [
    '../_base_/models/detection/mask-rcnn_lite0.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]
