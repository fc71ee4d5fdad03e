# A patch classifier on crops of 64 px: the mean of EfficientNet-Lite0's features at stride 16, then the classifier. All
# eleven blocks, because nothing has to be located: a cell sees 169 px around it, so all 16 of them see the whole crop.
_base_ = './lite0_max.py'

model = dict(
    backbone=dict(num_blocks=None),
    head=dict(
        _delete_=True,
        type='EmbeddingHead',
        aggregator=dict(type='MeanAggregator', domain='feature'),
        dropout=0.2,
        loss=dict(type='ImageBCELoss'),
    ),
)
