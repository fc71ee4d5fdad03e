# SegMitos: a segmentation network that learns from centroids by the concentric loss (Li et al. 2019). The encoder is
# the Teacher's, so that the two differ in what they are told and in the decoder, which fuses strides 8 and 16.
model = dict(
    type='WSSLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    backbone=dict(
        type='SkipDecoder',
        encoder=dict(
            type='EfficientNetLite',
            variant=0,
            stride=16,
            num_blocks=8,
            weights='imagenet',
            frozen_stages=2,
            out_strides=(8, 16),
        ),
        channels=64,
    ),
    head=dict(
        type='SegmentationHead',
        aggregator=dict(type='MaxAggregator', domain='logit'),
        prior=0.01,
        # 3 and 6 um at 0.25 um/px, around figures of about 10 um. On fields there are some 200 outer cells to an inner
        # one, so one of a figure counts for ten of a look-alike.
        extra_losses=[dict(type='ConcentricLoss', inner_px=12, outer_px=24, outer_weight=20)],
    ),
)
