# A cascade of lite0_max.py, or whatever else proposes, and verifier_lite0.py. The cascade stage puts in the models that
# its two checkpoints were trained with.
_base_ = './lite0_max.py'

model = dict(
    _delete_=True,
    type='CascadeLocalizer',
    proposer={{_base_.model}},
    verifier=dict(
        type='WSSLocalizer',
        data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
        backbone=dict(
            type='EfficientNetLite', variant=0, stride=16, num_blocks=None, weights='imagenet', frozen_stages=2
        ),
        head=dict(
            type='EmbeddingHead',
            aggregator=dict(type='MeanAggregator', domain='feature'),
            dropout=0.2,
            loss=dict(type='ImageBCELoss'),
        ),
    ),
    crop_px=64,
    max_proposals=20,
    min_score=0.01,
    rule='product',
    suppression_px=25,
)
