# Table 7: ResNet-50 on MIDOG21.
strong, weak = '../wss/r50_max_strong_midog21.py', '../wss/r50_max_weak_midog21.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
