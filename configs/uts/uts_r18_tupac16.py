# Table 1: Teacher -> distillation -> Student as the paper's text has it, on TUPAC16.
strong, weak = '../wss/r18_max_strong_tupac16.py', '../wss/r18_max_weak_tupac16.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
