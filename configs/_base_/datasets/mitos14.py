# MITOS14, both scanners, split of the UTS paper: one test case, so no interval over cases (docs/datasets.md).
_base_ = './points.py'

data_name = 'mitos14'
data_root = 'data/mitos14/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
