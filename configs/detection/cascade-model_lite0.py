# The model that the cascade stage puts together, and the images it is calibrated and tested on.
_base_ = [
    '../_base_/models/cascade_lite0.py',
    '../_base_/point_labels.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]
