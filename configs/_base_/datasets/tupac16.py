# TUPAC16 auxiliary set, 73 cases, split of the UTS paper (docs/datasets.md).
_base_ = './points.py'

data_name = 'tupac16'
data_root = 'data/tupac16/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
