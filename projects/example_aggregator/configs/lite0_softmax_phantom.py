# The Teacher of `make demo` with our aggregator in it. Run from the repository's root, see ../README.md.
_base_ = 'mitouts::wss/lite0_max_strong_phantom'

custom_imports = dict(imports=['softmax_pooling'], allow_failed_imports=False)

model = dict(head=dict(aggregator=dict(_delete_=True, type='SoftmaxAggregator', temperature=0.5, domain='logit')))
