# The Teacher of uts/starter_mitos14.py, on patches of 250 px of real tissue: over 500 px the maximum from ImageNet's weights does
# not begin to locate within 120 steps. The stain is jittered also where it is normalized, and the weights are averaged
# over some 50 steps: ten cases are few, and both make thresholds carry further.
_base_ = './lite0_max_strong.py'

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Augment', recipe='beta'),
    dict(type='StainJitter', scale=0.3, shift=0.1),
    dict(type='PackPointSample'),
]
# An epoch is 25 steps, whatever the size of the data set. The thresholds are chosen once, on all validation patches.
train_dataloader = dict(
    batch_size=64, num_workers=2, sampler=dict(num_samples=1600), dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=64, num_workers=2)
test_dataloader = dict(batch_size=64, num_workers=2)
train_cfg = dict(max_epochs=10, val_interval=10)
custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.02, update_buffers=True)]
