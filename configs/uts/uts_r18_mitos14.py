# Table 2: the same, trained and tested on MITOS14.
strong, weak = '../wss/r18_max_strong_mitos14.py', '../wss/r18_max_weak_mitos14.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
