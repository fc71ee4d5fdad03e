# CCMCT as the UTS paper has it: all 32 slides are an external test, the thresholds are the checkpoint's. To train on
# it, convert with --split FILE and name train.json and val.json as midog21.py does.
_base_ = './points.py'

data_name = 'ccmct'
data_root = 'data/ccmct/'
train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
