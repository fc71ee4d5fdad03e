# The authors' code on TUPAC16: the validation images are distilled, too.
strong, weak = '../wss/r18-code_max_strong_tupac16.py', '../wss/r18-code_max_weak_tupac16.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='distill_val', kind='distill', config=strong, model_from='teacher', split='val'),
    dict(name='student', kind='train', config=weak, data_from='distill', val_from='distill_val'),
]
