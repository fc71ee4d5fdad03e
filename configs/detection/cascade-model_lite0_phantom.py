# Small images with few figures.
_base_ = './cascade-model_lite0.py'

data = 'phantom'
model = dict(max_proposals=6)
