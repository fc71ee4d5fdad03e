# Every position classified; the generalized mean of the probabilities.
_base_ = '../../wss/r18_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='GeMAggregator')))
