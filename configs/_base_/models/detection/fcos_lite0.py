# FCOS (Tian et al. 2019) on the backbone whose ImageNet weights come with a package. Figures have one size, so both
# levels regress every distance.
_base_ = './retinanet_lite0.py'

model = dict(
    detector=dict(
        type='FCOS',
        neck=dict(num_outs=2),
        bbox_head=dict(
            _delete_=True,
            type='FCOSHead',
            num_classes=1,
            in_channels=64,
            feat_channels=64,
            stacked_convs=2,
            strides=[8, 16],
            regress_ranges=((-1, 1e8), (-1, 1e8)),
            center_sampling=True,
            center_sample_radius=1.5,
            norm_on_bbox=True,
            centerness_on_reg=True,
            norm_cfg=dict(type='GN', num_groups=16),
            bbox_coder=dict(type='DistancePointBBoxCoder', clip_border=False),
            loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
            loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
            loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        ),
        train_cfg=None,
    ),
)
