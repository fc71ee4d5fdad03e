# The same for a proposer to which hard negatives are figures: calibrated and tested on clean labels.
_base_ = [
    '../_base_/models/cascade_lite0.py',
    '../_base_/datasets/points/midog21.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]
