train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2))
# The two multiply. 'max_epochs' stands for train_cfg.max_epochs, so that one override changes both.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max='max_epochs', begin=0, by_epoch=True, convert_to_iter_based=True),
]
