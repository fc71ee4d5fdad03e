# Crops around figures and around the false proposals of a localizer, for a verifier. Its config says of which files, or
# the propose stage of a staged config.
train_pipeline = [
    dict(type='Augment', recipe='alpha'),
    dict(type='StainJitter', scale=0.15, shift=0.03),
    dict(type='PackPointSample'),
]
test_pipeline = [dict(type='PackPointSample')]

# 8 px at 0.25 um/px: about as far as proposals lie beside a figure. One crop an image is of no place in particular.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='ClassBalancedSampler'),
    dataset=dict(
        type='FigureCropDataset',
        ann_file='train.json',
        data_root=None,
        positive_categories=[1],
        crop_px=64,
        jitter_px=8,
        background=1,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FigureCropDataset',
        ann_file='val.json',
        data_root=None,
        positive_categories=[1],
        crop_px=64,
        background=1,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FigureCropDataset',
        ann_file='test.json',
        data_root=None,
        positive_categories=[1],
        crop_px=64,
        background=1,
        pipeline=test_pipeline,
    ),
)

# Nothing is located in a crop, so no drift is measured.
val_evaluator = dict(
    type='LocalizationEvaluator',
    metrics=[dict(type='ImageMetric')],
    thresholds='select',
    image_threshold=dict(type='MaxF1Threshold'),
    correct_drift=False,
)
test_evaluator = dict(type='LocalizationEvaluator', metrics=[dict(type='ImageMetric')], thresholds='checkpoint')
