# The authors' code: the validation images are distilled, too.
strong, weak = '../wss/r18-code_max_strong.py', '../wss/r18-code_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='distill_val', kind='distill', config=strong, model_from='teacher', split='val'),
    dict(name='student', kind='train', config=weak, data_from='distill', val_from='distill_val'),
]
