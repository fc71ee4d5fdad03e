# Figure 6: the first 1 residual stage of ResNet-18, stride 4.
_base_ = '../../wss/r18_max_strong.py'

model = dict(backbone=dict(num_stages=1))
