# A Student's training (weak augmentation); on all of the data it is the control that tells distillation from
# augmentation.
_base_ = './lite0_max_strong_amibr-fields.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='Augment', recipe='alpha'),
            dict(type='StainJitter', scale=0.15, shift=0.03),
            dict(type='PackPointSample'),
        ]
    )
)
