_base_ = './default_runtime.py'

default_hooks = dict(checkpoint=dict(save_best='dice/mean'))
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='TissueCalibrationHook'),
    dict(type='TrainingClockHook'),
    dict(type='ProgressHook'),
]
