# Up to stride 16, 8 blocks; without frozen stages, so that the depths differ in nothing else.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(backbone=dict(stride=16, num_blocks=8, frozen_stages=0))
