# The verifier of cascade_lite0_midog21-hn.py. To its proposer the annotated hard negatives are figures; here they are
# what is to be told from figures, as are the false proposals.
_base_ = './verifier_lite0_tupac16.py'

data_root = 'work_dirs/cascade_lite0_midog21-hn/propose/'
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
