# MIDOG21_HN: trained and validated with the hard negatives as positives, tested on clean labels. For the test on HN
# labels: --cfg-options test_dataloader.dataset.positive_categories=[1,2]
_base_ = './midog21.py'

data_name = 'midog21-hn'
positive_categories = [1, 2]
train_dataloader = dict(dataset=dict(positive_categories=positive_categories))
val_dataloader = dict(dataset=dict(positive_categories=positive_categories))
