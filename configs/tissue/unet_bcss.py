# The stand-in for the paper's tissue model: five classes on tiles of 512 px at 20x.
_base_ = [
    '../_base_/models/tissue_unet.py',
    '../_base_/datasets/bcss.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/tissue_runtime.py',
]

train_cfg = dict(max_epochs=60)
