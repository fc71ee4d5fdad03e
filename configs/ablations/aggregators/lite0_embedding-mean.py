# Features averaged over the image, then classified; the map is the class activation map.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(head=dict(type='EmbeddingHead', aggregator=dict(_delete_=True, type='MeanAggregator', domain='feature')))
