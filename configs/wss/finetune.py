# A trained model on a few labelled patches of one's own (docs/finetune.md): load_from names its best.pth, or a model of
# the zoo. Images need points or a label each; only the label is learnt from. As many steps with 20 patches as with 200.
_base_ = './lite0_max_weak.py'

load_from = 'starter'
train_dataloader = dict(sampler=dict(num_samples=128))
train_cfg = dict(max_epochs=6)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
# A few dozen images leave none for validation: the thresholds of the model that it starts from are kept. The test is
# that of lite0_max_weak.py.
val_dataloader = test_dataloader = None
val_cfg = test_cfg = None
val_evaluator = test_evaluator = None
# frozen=False lets the statistics of the batch norms follow the new images.
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='CalibrationHook', keep=True),
    dict(type='FrozenBatchNormHook', frozen=True),
    dict(type='TrainingClockHook'),
    dict(type='ProgressHook'),
]
