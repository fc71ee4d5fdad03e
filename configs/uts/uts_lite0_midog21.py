# EfficientNet-Lite0 on MIDOG21: weights that come with a package, our schedule.
strong, weak = '../wss/lite0_max_strong_midog21.py', '../wss/lite0_max_weak_midog21.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
