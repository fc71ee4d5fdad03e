# The Student of `make demo`.
_base_ = './lite0_max_strong_phantom.py'

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
