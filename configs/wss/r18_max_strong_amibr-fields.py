# The paper's network as a Teacher: ResNet-18, three stages. Its ImageNet weights come by URL; without a network give
# --cfg-options model.backbone.weights=FILE, or None.
_base_ = [
    '../_base_/models/r18_max.py',
    '../_base_/datasets/amibr_fields.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
