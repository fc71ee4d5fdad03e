# Every position classified; the maximum of the probabilities: the paper's choice.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='MaxAggregator', domain='probability')))
