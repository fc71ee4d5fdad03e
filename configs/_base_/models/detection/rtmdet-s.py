# RTMDet-s (Lyu et al. 2022). Its published ImageNet weights, where you have the file: --cfg-options
# model.detector.backbone.init_cfg='{"type": "Pretrained", "prefix": "backbone.", "checkpoint": "FILE"}'. Their first
# layer takes blue first and images here come red first, so its input channels need to be turned around in the file.
model = dict(
    type='DetectorLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    detector=dict(
        _scope_='mmdet',
        type='RTMDet',
        backbone=dict(
            type='CSPNeXt',
            arch='P5',
            expand_ratio=0.5,
            deepen_factor=0.33,
            widen_factor=0.5,
            channel_attention=True,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='SiLU', inplace=True),
            init_cfg=None,
        ),
        neck=dict(
            type='CSPNeXtPAFPN',
            in_channels=[128, 256, 512],
            out_channels=128,
            num_csp_blocks=1,
            expand_ratio=0.5,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='SiLU', inplace=True),
        ),
        bbox_head=dict(
            type='RTMDetSepBNHead',
            num_classes=1,
            in_channels=128,
            feat_channels=128,
            stacked_convs=2,
            anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
            bbox_coder=dict(type='DistancePointBBoxCoder', clip_border=False),
            loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
            loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
            with_objectness=False,
            exp_on_reg=False,
            share_conv=True,
            pred_kernel_size=1,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='SiLU', inplace=True),
        ),
        train_cfg=dict(
            assigner=dict(type='DynamicSoftLabelAssigner', topk=13), allowed_border=-1, pos_weight=-1, debug=False
        ),
        test_cfg=dict(
            nms_pre=1000, min_bbox_size=0, score_thr=0.01, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
        ),
    ),
)
