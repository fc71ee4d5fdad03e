# The model that the cascade stage on TUPAC16 puts together.
_base_ = [
    '../_base_/models/cascade_lite0.py',
    '../_base_/datasets/points/tupac16.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]
