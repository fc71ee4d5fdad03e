# Every position classified; the probability that one is positive, were they independent.
_base_ = '../../wss/lite0_max_strong_amibr-fields.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='NoisyOrAggregator')))
