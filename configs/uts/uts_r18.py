# Tables 1, 2 and 3: Teacher -> distillation -> Student as the paper's text has it.
strong, weak = '../wss/r18_max_strong.py', '../wss/r18_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
