# FCOS on ResNet-50; figures have one size, so no level is kept for larger ones.
_base_ = './fcos_lite0.py'

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
            strides=[8, 16, 32],
            regress_ranges=((-1, 1e8), (-1, 1e8), (-1, 1e8)),
            norm_cfg=dict(num_groups=32),
        ),
        test_cfg=dict(nms_pre=1000, max_per_img=100),
    ),
)
