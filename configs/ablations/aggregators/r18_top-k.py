# Every position classified; the mean of the four highest logits.
_base_ = '../../wss/r18_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='TopKMeanAggregator', domain='logit')))
