# Figure 6: the first 4 residual stages of ResNet-18, stride 32.
_base_ = '../../wss/r18_max_strong.py'

model = dict(backbone=dict(num_stages=4))
