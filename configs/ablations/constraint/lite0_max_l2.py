# A Teacher that is told where single figures are (location constraint, Table 5 of the paper).
_base_ = '../../wss/lite0_max_strong.py'

model = dict(head=dict(extra_losses=[dict(type='CentroidConstraintLoss', kind='l2')]))
custom_hooks = [*_base_.custom_hooks, dict(type='TrainingDistanceHook')]
