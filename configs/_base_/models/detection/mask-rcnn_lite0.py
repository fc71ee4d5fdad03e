# Mask R-CNN on the backbone whose ImageNet weights come with a package; discs as in mask-rcnn_r50-fpn.py.
_base_ = './faster-rcnn_lite0.py'

model = dict(
    masks=dict(type='DiscMasks', radius_px=15),
    detector=dict(
        type='MaskRCNN',
        roi_head=dict(
            type='mitouts.MaskTrainedRoIHead',
            mask_roi_extractor=dict(
                type='SingleRoIExtractor',
                roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
                out_channels=64,
                featmap_strides=[8, 16],
                finest_scale=56,
            ),
            mask_head=dict(
                type='FCNMaskHead',
                num_convs=2,
                in_channels=64,
                conv_out_channels=64,
                num_classes=1,
                loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
            ),
        ),
        train_cfg=dict(rcnn=dict(mask_size=28)),
    ),
)
