# Mask R-CNN (He et al. 2017) on ResNet-50, whose masks are discs of the size of a nucleus around the points.
_base_ = './faster-rcnn_r50-fpn.py'

model = dict(
    masks=dict(type='DiscMasks', radius_px=15),
    detector=dict(
        type='MaskRCNN',
        roi_head=dict(
            type='mitouts.MaskTrainedRoIHead',
            mask_roi_extractor=dict(
                type='SingleRoIExtractor',
                roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
                out_channels=256,
                featmap_strides=[8, 16, 32],
                finest_scale=56,
            ),
            mask_head=dict(
                type='FCNMaskHead',
                num_convs=4,
                in_channels=256,
                conv_out_channels=256,
                num_classes=1,
                loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
            ),
        ),
        train_cfg=dict(rcnn=dict(mask_size=28)),
    ),
)
