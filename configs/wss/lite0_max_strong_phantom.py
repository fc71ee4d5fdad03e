# The Teacher of `make demo`: fewer epochs.
_base_ = './lite0_max_strong.py'

data = 'phantom'
train_cfg = dict(max_epochs=6)
