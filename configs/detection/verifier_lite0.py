# The verifier of cascade_lite0.py, on what its propose stage leaves; the best epoch is the one that ranks crops best.
# A hard negative is no figure here, whatever it is to the proposer.
_base_ = [
    '../_base_/models/verifier_lite0.py',
    '../_base_/figure_crops.py',
    '../_base_/schedules/adamw_cosine.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(save_best='image/auc'))
