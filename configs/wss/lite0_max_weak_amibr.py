# Typical against atypical mitotic figures on the AMi-Br crops (docs/datasets.md): image labels, nothing to locate.
_base_ = [
    '../_base_/models/lite0_max.py',
    '../_base_/datasets/amibr.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/distillation.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(pipeline={{_base_.weak_pipeline}}))
