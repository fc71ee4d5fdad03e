# AMi-Br crops of 128 px: the image label is 1 for atypical and 0 for typical mitotic figures (docs/datasets.md).
_base_ = './points.py'

data_name = 'amibr'
ann_file = 'data/amibr/ann.json'
evaluator = [dict(type='ImageMetric')]
train_dataloader = dict(batch_size=64, dataset=dict(ann_file=ann_file, split='train'))
val_dataloader = dict(batch_size=64, dataset=dict(ann_file=ann_file, split='val'))
test_dataloader = dict(batch_size=64, dataset=dict(ann_file=ann_file, split='test'))
val_evaluator = dict(metrics=evaluator)
test_evaluator = dict(metrics=evaluator)
