# A Teacher on patches of 500 px (docs/datasets.md), with a backbone whose weights come with a package.
_base_ = [
    '../_base_/models/lite0_max.py',
    '../_base_/datasets/midogpp.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
