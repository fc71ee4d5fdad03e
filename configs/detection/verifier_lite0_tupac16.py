# The verifier of cascade_lite0_tupac16.py; the patches' stain is normalized, so it is not jittered.
_base_ = './verifier_lite0_amibr-fields.py'

data_root = 'work_dirs/cascade_lite0_tupac16/propose/'
pipeline = [dict(type='Augment', recipe='alpha'), dict(type='PackPointSample')]
loading = dict(batch_size=32, num_workers=4, persistent_workers=True)
train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json', pipeline=pipeline), **loading)
val_dataloader = dict(dataset=dict(ann_file=data_root + 'val.json'), **loading)
test_dataloader = dict(dataset=dict(ann_file=data_root + 'test.json'), **loading)
