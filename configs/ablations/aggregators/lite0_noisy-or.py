# Every position classified; the probability that one is positive, were they independent.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='NoisyOrAggregator')))
