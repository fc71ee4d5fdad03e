# Up to stride 8, 5 blocks; without frozen stages, so that the depths differ in nothing else.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(backbone=dict(stride=8, num_blocks=5, frozen_stages=0))
