# For a proposer to which hard negatives are figures: calibrated and tested on clean labels.
_base_ = './cascade-model_lite0.py'

data = 'midog21'
