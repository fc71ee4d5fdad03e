# The starter model of the zoo: image labels alone, ImageNet's weights, weak augmentation, 250 steps of 64 patches of
# 250 px (docs/models.md). Over 500 px the maximum does not begin to locate within 120 steps. The thresholds are chosen
# once, at the end, on all validation patches at the prevalence that they have.
_base_ = './lite0_max_weak.py'

data = 'mitos14'
# An epoch is 25 steps, whatever the size of the data set.
train_dataloader = dict(batch_size=64, num_workers=2, sampler=dict(num_samples=1600))
val_dataloader = dict(batch_size=64, num_workers=2)
test_dataloader = dict(batch_size=64, num_workers=2)
train_cfg = dict(max_epochs=10, val_interval=10)
