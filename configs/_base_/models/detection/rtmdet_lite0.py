# RTMDet's neck and head, half as wide, on the backbone whose ImageNet weights come with a package.
_base_ = './rtmdet-s.py'

model = dict(
    detector=dict(
        backbone=dict(
            _delete_=True,
            type='mitouts.EfficientNetLite',
            variant=0,
            stride=16,
            num_blocks=8,
            weights='imagenet',
            frozen_stages=2,
            out_strides=(8, 16),
        ),
        neck=dict(in_channels=[40, 80], out_channels=64),
        bbox_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(strides=[8, 16])),
    ),
)
