# Every position classified; the maximum of the probabilities: the paper's choice.
_base_ = '../../wss/r18_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='MaxAggregator', domain='probability')))
