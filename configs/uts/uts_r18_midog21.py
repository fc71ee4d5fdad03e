# Table 3: the same, trained and tested on MIDOG21.
strong, weak = '../wss/r18_max_strong_midog21.py', '../wss/r18_max_weak_midog21.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
