# The verifier of cascade_lite0_phantom.py.
_base_ = './verifier_lite0_amibr-fields.py'

data_root = 'work_dirs/cascade_lite0_phantom/propose/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))

train_cfg = dict(max_epochs=8)
