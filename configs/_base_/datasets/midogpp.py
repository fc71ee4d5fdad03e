# MIDOG++, 503 labelled images of seven tumour types, its published test split (docs/datasets.md).
_base_ = './points.py'

data_name = 'midogpp'
data_root = 'data/midogpp/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
