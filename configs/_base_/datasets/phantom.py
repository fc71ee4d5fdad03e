# Synthetic H&E fields made by tools/dataset_converters/phantom.py: the data that come with the project.
_base_ = './amibr_fields.py'

data_name = 'phantom'
data_root = 'data/phantom/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
