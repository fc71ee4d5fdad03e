# RetinaNet on ResNet-50. Every level has one square anchor of 50 px, centred on the backbone's cells. ImageNet weights:
# --cfg-options model.detector.backbone.weights=imagenet (by URL), or a file.
_base_ = './retinanet_lite0.py'

model = dict(
    detector=dict(
        backbone=dict(
            _delete_=True, type='mitouts.ResNet', depth=50, num_stages=4, weights=None, out_strides=(8, 16, 32)
        ),
        neck=dict(in_channels=[512, 1024, 2048], out_channels=256, num_outs=3),
        bbox_head=dict(
            in_channels=256,
            feat_channels=256,
            stacked_convs=4,
            norm_cfg=dict(num_groups=32),
            anchor_generator=dict(
                _delete_=True,
                type='AnchorGenerator',
                base_sizes=[50, 50, 50],
                scales=[1.0],
                ratios=[1.0],
                strides=[8, 16, 32],
            ),
        ),
        test_cfg=dict(nms_pre=1000, max_per_img=100),
    ),
)
