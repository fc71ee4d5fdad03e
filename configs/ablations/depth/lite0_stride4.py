# Up to stride 4, 3 blocks; without frozen stages, so that the depths differ in nothing else.
_base_ = '../../wss/lite0_max_strong.py'

model = dict(backbone=dict(stride=4, num_blocks=3, frozen_stages=0))
