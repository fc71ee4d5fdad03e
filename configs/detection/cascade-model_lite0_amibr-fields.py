# Fields of 240 px with one or two figures: on validation fields without noise, the Student's five strongest proposals
# hold 98% of them (three seeds).
_base_ = './cascade-model_lite0.py'

data = 'amibr-fields'
model = dict(max_proposals=6)
