# The Teacher of the authors' code on TUPAC16.
_base_ = '../_base_/recipes/code.py'

data_root = 'data/tupac16_code/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
