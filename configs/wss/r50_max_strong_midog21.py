# A Teacher with ResNet-50 on MIDOG21 (Table 7 of the paper).
_base_ = './r18_max_strong_midog21.py'

model = dict(backbone=dict(depth=50))
