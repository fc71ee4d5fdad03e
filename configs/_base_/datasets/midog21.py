# MIDOG 2021, the 150 labelled images, split of the UTS paper (docs/datasets.md).
_base_ = './points.py'

data_name = 'midog21'
data_root = 'data/midog21/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
