# The authors' public code, on patches of a data set made with --edges drop --fit patch --stain histogram+macenko
# (docs/datasets.md) in a folder of their own. A staged config distils the validation images, too.
_base_ = [
    '../models/r18_max.py',
    '../datasets/tupac16.py',
    '../schedules/code.py',
    '../distillation.py',
    '../default_runtime.py',
]

data_root = _base_.data_root.rstrip('/') + '_code/'
train_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='elastic'), dict(type='PackPointSample')]
# Its matching is the protocol `presence`.
metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=30, protocols=['presence', 'one_to_one'])]

# The logit map is upsampled before its maximum is taken; no bias; RGB / 255.
model = dict(
    data_preprocessor=dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]),
    head=dict(bias=False, upsample='align_corners', aggregator=dict(domain='logit')),
)
# Training patches with more than one figure are left out; the rarer class is oversampled once.
train_dataloader = dict(
    sampler=dict(type='OversampledSampler'),
    dataset=dict(ann_file=data_root + 'train.json', max_points=1, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'))
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'))
val_evaluator = dict(metrics=metrics, correct_drift=False)
test_evaluator = dict(metrics=metrics)
distillation = dict(criterion=dict(drop_image_errors=True, threshold_from='train'))
