# The Student of uts/starter_mitos14.py: it goes on from the Teacher's weights on what the distillation kept, augmented weakly, and
# draws most of its negatives from those that the Teacher took for figures.
_base_ = './starter_teacher.py'

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Augment', recipe='alpha'),
    dict(type='StainJitter', scale=0.3, shift=0.1),
    dict(type='PackPointSample'),
]
train_dataloader = dict(sampler=dict(type='HardNegativeSampler'), dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=5, val_interval=5)
