# Fewer epochs, as the Student of `make demo` has.
_base_ = './verifier_lite0.py'

data = 'phantom'
train_cfg = dict(max_epochs=8)
