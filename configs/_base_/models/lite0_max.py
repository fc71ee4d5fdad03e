# EfficientNet-Lite0 whose ImageNet weights come with a package: the model that trains anywhere.
# Eight blocks keep the receptive field at 73 px around a cell: a deeper network sees a figure from afar, and its
# maximum then drifts away from it. The stem and the stages up to stride 4 keep their ImageNet weights, which halves
# the cost of a step.
model = dict(
    type='WSSLocalizer',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    backbone=dict(type='EfficientNetLite', variant=0, stride=16, num_blocks=8, weights='imagenet', frozen_stages=2),
    head=dict(
        type='InstanceHead',
        aggregator=dict(type='MaxAggregator', domain='logit'),
        loss=dict(type='ImageBCELoss'),
    ),
)
