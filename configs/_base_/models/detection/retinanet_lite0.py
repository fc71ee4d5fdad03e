# RetinaNet (Lin et al. 2017), the family of the MIDOG reference algorithm, on the backbone whose ImageNet weights come
# with a package. Mitotic figures have one size, so each of two levels has one square anchor, centred on the backbone's
# cells (7 px at stride 8, 15 px at stride 16). Boxes are not clipped, so that their centres stay the points.
model = dict(
    type='DetectorLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    detector=dict(
        _scope_='mmdet',
        type='RetinaNet',
        backbone=dict(
            type='mitouts.EfficientNetLite',
            variant=0,
            stride=16,
            num_blocks=8,
            weights='imagenet',
            frozen_stages=2,
            out_strides=(8, 16),
        ),
        neck=dict(
            type='FPN',
            in_channels=[40, 80],
            out_channels=64,
            num_outs=2,
            norm_cfg=dict(type='GN', num_groups=16),
        ),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=1,
            in_channels=64,
            feat_channels=64,
            stacked_convs=2,
            norm_cfg=dict(type='GN', num_groups=16),
            anchor_generator=dict(
                type='AnchorGenerator',
                base_sizes=[50, 50],
                scales=[1.0],
                ratios=[1.0],
                strides=[8, 16],
                centers=[(7, 7), (15, 15)],
            ),
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder', target_means=[0, 0, 0, 0], target_stds=[1, 1, 1, 1], clip_border=False
            ),
            loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=0.1, loss_weight=1.0),
        ),
        train_cfg=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
            sampler=dict(type='PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        test_cfg=dict(
            nms_pre=200, min_bbox_size=0, score_thr=0.01, nms=dict(type='nms', iou_threshold=0.5), max_per_img=50
        ),
    ),
)
