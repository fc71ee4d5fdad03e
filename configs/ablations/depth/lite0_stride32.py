# Up to stride 32, 12 blocks; without frozen stages, so that the depths differ in nothing else.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(backbone=dict(stride=32, num_blocks=12, frozen_stages=0))
