default_scope = 'mitouts'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=True),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', save_best='image/f1', max_keep=1),
)
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='CalibrationHook'),
    dict(type='TrainingClockHook'),
    dict(type='ProgressHook'),
]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# TensorBoard: --cfg-options 'visualizer.vis_backends=[{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]'
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(window_size=20, by_epoch=True)
log_level = 'INFO'
randomness = dict(seed=0)
load_from = None
# torch.compile: --cfg-options compile=True
compile = False
