# The Teacher of the paper's text on MITOS14.
_base_ = '../_base_/recipes/paper.py'

data_root = 'data/mitos14/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
