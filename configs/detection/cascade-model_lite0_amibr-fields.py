# The model that the cascade stage on AMi-Br fields puts together, and the images it is calibrated and tested on.
_base_ = [
    '../_base_/models/cascade_lite0.py',
    '../_base_/datasets/points/amibr_fields.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]

# Fields of 240 px with one or two figures: on validation fields without noise, the Student's five strongest proposals
# hold 98% of them (three seeds).
model = dict(max_proposals=6)
