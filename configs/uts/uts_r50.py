# Table 7: ResNet-50.
strong, weak = '../wss/r50_max_strong.py', '../wss/r50_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
