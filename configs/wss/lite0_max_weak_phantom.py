# The Student of `make demo`.
_base_ = './lite0_max_strong_phantom.py'

# Half as many images as its Teacher has, so a third more epochs.
train_cfg = dict(max_epochs=8)

train_dataloader = dict(dataset=dict(pipeline={{_base_.weak_pipeline}}))
