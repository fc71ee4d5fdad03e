# The Teacher of `make demo`.
_base_ = [
    '../_base_/models/lite0_max.py',
    '../_base_/datasets/phantom.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(max_epochs=6)
