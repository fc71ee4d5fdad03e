# The verifier of cascade_lite0_amibr-fields.py, on what its propose stage leaves; the best epoch is the one that ranks
# crops best.
_base_ = [
    '../_base_/models/verifier_lite0.py',
    '../_base_/datasets/figure_crops.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]

data_root = 'work_dirs/cascade_lite0_amibr-fields/propose/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
default_hooks = dict(checkpoint=dict(save_best='image/auc'))
