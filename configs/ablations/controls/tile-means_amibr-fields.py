# Shown only tile positions, mean colours and seams: whatever it finds is in how the fields were put together.
_base_ = '../../wss/lite0_max_weak.py'

data = 'amibr-fields'
pipeline = [dict(type='LoadImage'), dict(type='TileMeans', tile_px=48), dict(type='PackPointSample')]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
