# Every position classified; a smooth maximum of the logits.
_base_ = '../../wss/r18_max_strong.py'

model = dict(head=dict(type='InstanceHead', aggregator=dict(_delete_=True, type='LogSumExpAggregator')))
