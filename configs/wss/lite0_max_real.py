# The Teacher of uts/real_mitos14.py, on patches of 250 px of real tissue: over 500 px the maximum from ImageNet's
# weights does not begin to locate within 120 steps. Cases differ in sharpness, size of nuclei and contrast even where
# the stain is normalized, so these are augmented, too; the weights are averaged over some 50 steps.
_base_ = './lite0_max_strong.py'

train_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='Augment',
        recipe='alpha',
        extra=[
            # Mirrored at the border, as alpha's rotations are.
            dict(type='Affine', scale=(0.8, 1.25), shear=(-8, 8), border_mode=4, p=0.7),
            dict(type='GaussianBlur', sigma_limit=(0.3, 1.5), p=0.3),
            dict(type='Sharpen', alpha=(0.1, 0.5), p=0.3),
            dict(type='RandomBrightnessContrast', brightness_limit=0.15, contrast_limit=0.25, p=0.5),
            dict(type='ImageCompression', quality_range=(50, 95), p=0.2),
        ],
    ),
    dict(type='StainJitter', scale=0.15, shift=0.05),
    dict(type='PackPointSample'),
]
# An epoch is 25 steps, whatever the size of the data set. The thresholds are chosen once, on all validation patches.
train_dataloader = dict(
    batch_size=64, num_workers=2, sampler=dict(num_samples=1600), dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=64, num_workers=2)
test_dataloader = dict(batch_size=64, num_workers=2)
train_cfg = dict(max_epochs=12, val_interval=12)
custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.02, update_buffers=True)]
