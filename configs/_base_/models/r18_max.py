# The paper's model: the first three stages of ResNet-18, ImageNet weights (by URL), maximum of probabilities.
model = dict(
    type='WSSLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    backbone=dict(type='ResNet', depth=18, num_stages=3, weights='imagenet'),
    head=dict(
        type='InstanceHead',
        aggregator=dict(type='MaxAggregator', domain='probability'),
        loss=dict(type='ImageBCELoss'),
    ),
)
