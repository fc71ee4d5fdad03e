# Figure 6: the first 3 residual stages of ResNet-18, stride 16; the paper's choice.
_base_ = '../../wss/r18_max_strong.py'

model = dict(backbone=dict(num_stages=3))
