# BCSS (Amgad et al. 2019): data/bcss/images/NAME.png and data/bcss/masks/NAME.png, 0.25 um/px (docs/tissue.md).
data_root = 'data/bcss/'
tissue_mpp = 0.5
crop_px = 512

# The order is that of the network's outputs.
classes = ['tumour', 'stroma', 'inflammation', 'necrosis', 'other']
# Codes of BCSS's meta/gtruth_codes.tsv.
label_map = dict(
    tumour=[1, 19, 20],  # tumor, angioinvasion, dcis
    stroma=[2],
    inflammation=[3, 10, 11],  # lymphocytic_infiltrate, plasma_cells, other_immune_infiltrate
    necrosis=[4],  # necrosis_or_debris
    # glandular_secretions, blood, metaplasia_NOS, fat, mucoid_material, normal_acinus_or_duct, lymphatics, nerve,
    # skin_adnexa, blood_vessel, other
    other=[5, 6, 8, 9, 12, 13, 14, 16, 17, 18, 21],
)
ignore_codes = [0, 7, 15]  # outside_roi, exclude, undetermined
# Test: the tissue source sites that the data set's authors hold out. Validation: five other sites.
partition = dict(
    val=['TCGA-A1', 'TCGA-A8', 'TCGA-BH', 'TCGA-C8', 'TCGA-E9'],
    test=['TCGA-E2', 'TCGA-EW', 'TCGA-GM', 'TCGA-LL', 'TCGA-OL', 'TCGA-S3'],
)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='RandomTissueCrop', size_px=crop_px, mpp=tissue_mpp, min_labelled=0.25),
    dict(type='AugmentTissue', recipe='alpha'),
    dict(type='StainJitter', scale=0.15, shift=0.03),
    dict(type='PackTissueSample'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels'),
    dict(type='ResampleTissue', mpp=tissue_mpp),
    dict(type='PackTissueSample'),
]

# mpp=None: read from the names (..._MPP-0.2500.png).
dataset = dict(
    type='TissueDataset',
    data_root=data_root,
    classes=classes,
    label_map=label_map,
    ignore_codes=ignore_codes,
    images='images',
    masks='masks',
    mpp=None,
    case_pattern='TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}',
    partition=partition,
    split_file=None,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', crops_per_image=10, pipeline=train_pipeline, **dataset),
)
# Whole images, which differ in size; the model cuts them into tiles.
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='val', pipeline=test_pipeline, **dataset),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test', pipeline=test_pipeline, **dataset),
)
del dataset

val_evaluator = dict(type='TissueEvaluator', metrics=[dict(type='DiceMetric')])
test_evaluator = dict(type='TissueEvaluator', metrics=[dict(type='DiceMetric')])
