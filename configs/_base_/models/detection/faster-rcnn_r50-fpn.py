# Faster R-CNN on ResNet-50; backbone, pyramid and anchors as in retinanet_r50-fpn.py.
_base_ = './faster-rcnn_lite0.py'

model = dict(
    detector=dict(
        backbone=dict(
            _delete_=True, type='mitouts.ResNet', depth=50, num_stages=4, weights=None, out_strides=(8, 16, 32)
        ),
        neck=dict(in_channels=[512, 1024, 2048], out_channels=256, num_outs=3),
        rpn_head=dict(
            in_channels=256,
            feat_channels=256,
            anchor_generator=dict(
                _delete_=True,
                type='AnchorGenerator',
                base_sizes=[50, 50, 50],
                scales=[1.0],
                ratios=[1.0],
                strides=[8, 16, 32],
            ),
        ),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=256, featmap_strides=[8, 16, 32]),
            bbox_head=dict(in_channels=256, fc_out_channels=1024),
        ),
        train_cfg=dict(
            rpn=dict(sampler=dict(num=256)),
            rpn_proposal=dict(nms_pre=1000, max_per_img=256),
            rcnn=dict(sampler=dict(num=128)),
        ),
        test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=256), rcnn=dict(max_per_img=100)),
    ),
)
