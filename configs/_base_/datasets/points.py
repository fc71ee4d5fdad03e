# Patches of 500 px with points (docs/datasets.md), made by tools/prepare_patches.py. Their stain is normalized already,
# so it is not jittered. The data sets that inherit this name their folder, and themselves.
data_name = 'points'
data_root = 'data/patches/'

train_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='beta'), dict(type='PackPointSample')]
weak_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='alpha'), dict(type='PackPointSample')]
test_pipeline = [dict(type='LoadImage'), dict(type='PackPointSample')]

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ClassBalancedSampler'),
    dataset=dict(
        type='PointDataset',
        ann_file=data_root + 'train.json',
        data_root=None,
        positive_categories=[1],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PointDataset',
        ann_file=data_root + 'val.json',
        data_root=None,
        positive_categories=[1],
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PointDataset',
        ann_file=data_root + 'test.json',
        data_root=None,
        positive_categories=[1],
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(
    type='LocalizationEvaluator',
    metrics=[dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=30)],
    thresholds='select',
    image_threshold=dict(type='MaxF1Threshold'),
)
test_evaluator = dict(
    type='LocalizationEvaluator',
    metrics=[dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=30)],
    thresholds='checkpoint',
)
