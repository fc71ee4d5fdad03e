# The Student of `make demo`. Half as many images as its Teacher has, so a third more epochs.
_base_ = './lite0_max_weak.py'

data = 'phantom'
train_cfg = dict(max_epochs=8)
