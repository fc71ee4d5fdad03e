# Fewer epochs, as the Teacher of `make demo` has.
_base_ = './segmitos_lite0.py'

data = 'phantom'
train_cfg = dict(max_epochs=6)
