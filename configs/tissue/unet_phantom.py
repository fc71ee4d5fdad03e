# A small tissue model that trains on one CPU core in two to three minutes: a check of the whole way, not a model for
# real slides.
_base_ = [
    '../_base_/models/tissue_unet.py',
    '../_base_/datasets/phantom_tissue.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/tissue_runtime.py',
]

model = dict(channels=(16, 32, 64, 96))
train_cfg = dict(max_epochs=8)
optim_wrapper = dict(optimizer=dict(lr=5e-3))
