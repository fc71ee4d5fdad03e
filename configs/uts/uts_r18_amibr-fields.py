# The paper's network on AMi-Br fields, with our schedule; weights by URL.
strong, weak = '../wss/r18_max_strong_amibr-fields.py', '../wss/r18_max_weak_amibr-fields.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
