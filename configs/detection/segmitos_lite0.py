# SegMitos, trained on centroids with the Teacher's augmentation.
_base_ = [
    '../_base_/models/segmitos_lite0.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
