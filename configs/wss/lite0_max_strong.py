# A Teacher: strong augmentation (alpha + optical and grid distortions), on a backbone whose weights come with a
# package.
_base_ = [
    '../_base_/models/lite0_max.py',
    '../_base_/datasets/amibr_fields.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
