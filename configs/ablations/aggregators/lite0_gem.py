# Every position classified; the generalized mean of the probabilities.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='GeMAggregator')))
