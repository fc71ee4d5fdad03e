# A Teacher on MIDOG21 with the hard negatives as positives, tested on clean labels (docs/datasets.md).
_base_ = [
    '../_base_/models/lite0_max.py',
    '../_base_/datasets/midog21_hn.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
