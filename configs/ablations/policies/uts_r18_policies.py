# Table 6, the other policies, and weights instead of discarding: one Teacher, a Student each.
strong, weak = '../../wss/r18_max_strong.py', '../../wss/r18_max_weak.py'
criteria = dict(
    any_true=dict(type='CentroidDisagreement', policy='any_true'),
    no_false=dict(type='CentroidDisagreement', policy='no_false'),
    perfect=dict(type='CentroidDisagreement', policy='perfect'),
    pseudo=dict(type='PseudoLabel'),
    soft=dict(type='SoftDisagreement'),
)


def student(name, criterion):
    options = [f'distillation.criterion={criterion}']
    return [
        dict(name=f'{name}_distill', kind='distill', config=strong, model_from='teacher', options=options),
        dict(name=name, kind='train', config=weak, data_from=f'{name}_distill'),
    ]


stages = [dict(name='teacher', kind='train', config=strong)]
for each in criteria.items():
    stages += student(*each)
del student, each
