# A darkest-blob detector, trained and validated like a network; a scale, an offset and thresholds are learnt.
_base_ = '../../wss/lite0_max_weak.py'

model = dict(
    data_preprocessor=dict(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    backbone=dict(_delete_=True, type='BlobFilter'),
)
optim_wrapper = dict(optimizer=dict(lr=0.1))
