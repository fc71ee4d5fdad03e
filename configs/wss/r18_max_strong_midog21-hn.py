# The same with the hard negatives as positives, tested on clean labels.
_base_ = './r18_max_strong_midog21.py'

positive_categories = [1, 2]
train_dataloader = dict(dataset=dict(positive_categories=positive_categories))
val_dataloader = dict(dataset=dict(positive_categories=positive_categories))
