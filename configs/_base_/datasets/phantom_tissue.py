# Synthetic regions made by tools/dataset_converters/phantom_tissue.py, with the codes of BCSS.
_base_ = './bcss.py'

data_root = 'data/phantom_tissue/'
phantom = dict(data_root=data_root, mpp=0.5, case_pattern='case_[0-9]+', partition=None, split_file='splits.csv')
# Small crops: more of them in the same time, which is what a short training needs.
crop_px = 128
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='RandomTissueCrop', size_px=crop_px, mpp={{_base_.tissue_mpp}}, min_labelled=0.25),
    dict(type='AugmentTissue', recipe='alpha'),
    dict(type='StainJitter', scale=0.15, shift=0.03),
    dict(type='PackTissueSample'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(crops_per_image=10, pipeline=train_pipeline, **phantom),
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(**phantom))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(**phantom))
del phantom
