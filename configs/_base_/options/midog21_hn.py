# Overrides of a stage: its config, on MIDOG21 with the hard negatives as positives, tested on clean labels.
_base_ = './midog21.py'

options = [*_base_.options, *(f'{split}_dataloader.dataset.positive_categories=[1,2]' for split in ('train', 'val'))]
