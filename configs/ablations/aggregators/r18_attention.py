# Attention over features (Ilse et al. 2018); the map is the attention, scaled by the image's probability.
_base_ = '../../wss/r18_max_strong.py'

model = dict(head=dict(type='EmbeddingHead', aggregator=dict(_delete_=True, type='AttentionAggregator')))
