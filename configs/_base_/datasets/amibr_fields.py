# Real pixels: fields made from AMi-Br crops by tools/dataset_converters/amibr_fields.py (see configs/wss/README.md).
# Their stain is that of the slides, so it is jittered.
_base_ = './points.py'

data_name = 'amibr-fields'
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
# Small images, which are read in no time.
loading = dict(batch_size=16, num_workers=0, persistent_workers=False)
metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=[30, 15])]

train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json', pipeline=train_pipeline), **loading)
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'), **loading)
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'), **loading)
val_evaluator = dict(metrics=metrics)
test_evaluator = dict(metrics=metrics)
del loading, metrics
