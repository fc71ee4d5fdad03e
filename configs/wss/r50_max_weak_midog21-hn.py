# A Student with ResNet-50 on MIDOG21 with the hard negatives as positives (Table 7 of the paper).
_base_ = './r18_max_weak_midog21-hn.py'

model = dict(backbone=dict(depth=50))
