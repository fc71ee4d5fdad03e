# Patches of 500 px made by tools/prepare_patches.py; the data sets below differ in their folder alone. Their stain is
# normalized already, so it is not jittered.
_base_ = './amibr_fields.py'

data_root = 'data/patches/'
train_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='beta'), dict(type='PackPointSample')]
weak_pipeline = [dict(type='LoadImage'), dict(type='Augment', recipe='alpha'), dict(type='PackPointSample')]
metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=30)]
loading = dict(batch_size=32, num_workers=4, persistent_workers=True)

train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json', pipeline=train_pipeline), **loading)
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'), **loading)
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'), **loading)
val_evaluator = dict(metrics=metrics)
test_evaluator = dict(metrics=metrics)
