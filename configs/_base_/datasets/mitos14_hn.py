# MITOS14 with the look-alikes as positives in training and validation, tested on clean labels. Look-alikes carry an
# error of their registration: the mitotic figures of the training images are moved by the same (docs/datasets.md).
_base_ = './mitos14.py'

data_name = 'mitos14-hn'
data_root = 'data/mitos14_hn/'
positive_categories = [1, 2]
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json', positive_categories=positive_categories))
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json', positive_categories=positive_categories))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
