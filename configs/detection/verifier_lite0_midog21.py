# The verifier of cascade_lite0_midog21.py.
_base_ = './verifier_lite0_tupac16.py'

data_root = 'work_dirs/cascade_lite0_midog21/propose/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
