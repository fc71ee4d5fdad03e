# The schedule of adamw_cosine.py; the regression losses of detectors need their gradients clipped.
_base_ = './adamw_cosine.py'

optim_wrapper = dict(clip_grad=dict(max_norm=10))
