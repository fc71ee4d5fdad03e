# The model that the cascade stage on the phantom puts together.
_base_ = [
    '../_base_/models/cascade_lite0.py',
    '../_base_/datasets/points/phantom.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]

model = dict(max_proposals=6)
