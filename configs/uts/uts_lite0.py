# EfficientNet-Lite0: weights that come with a package, our schedule.
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
