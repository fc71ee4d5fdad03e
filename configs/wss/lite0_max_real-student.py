# The Student of uts/real_mitos14.py: it goes on from the Teacher's weights on what the distillation kept, and draws
# most of its negatives from those that the Teacher took for figures.
_base_ = './lite0_max_real.py'

train_dataloader = dict(sampler=dict(type='HardNegativeSampler'))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=5, val_interval=5)
