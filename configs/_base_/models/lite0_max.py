# EfficientNet-Lite0 whose ImageNet weights come with a package: the model that trains anywhere.
model = dict(
    type='WSSLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    backbone=dict(type='EfficientNetLite', variant=0, stride=16, weights='imagenet', frozen_stages=2),
    head=dict(
        type='InstanceHead',
        aggregator=dict(type='MaxAggregator', domain='logit'),
        loss=dict(type='ImageBCELoss'),
    ),
)
