# Real pixels: fields made from AMi-Br crops by tools/dataset_converters/amibr_fields.py (see configs/wss/README.md).
data_root = 'data/amibr_fields/'

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Augment', recipe='beta'),
    dict(type='StainJitter', scale=0.15, shift=0.03),
    dict(type='PackPointSample'),
]
weak_pipeline = [
    dict(type='LoadImage'),
    dict(type='Augment', recipe='alpha'),
    dict(type='StainJitter', scale=0.15, shift=0.03),
    dict(type='PackPointSample'),
]
test_pipeline = [dict(type='LoadImage'), dict(type='PackPointSample')]

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
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
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
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
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
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
    metrics=[dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=[30, 15])],
    thresholds='select',
    image_threshold=dict(type='MaxF1Threshold'),
)
test_evaluator = dict(
    type='LocalizationEvaluator',
    metrics=[dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=[30, 15])],
    thresholds='checkpoint',
)
