# A Teacher with ResNet-50 (Table 7 of the paper).
_base_ = './r18_max_strong.py'

model = dict(backbone=dict(depth=50))
