# The paper's network with our schedule.
_base_ = [
    '../_base_/models/r18_max.py',
    '../_base_/datasets/amibr_fields.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
