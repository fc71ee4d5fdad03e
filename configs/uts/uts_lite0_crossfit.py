# Distillation in-sample, by the Teacher that was trained on the images it judges, and cross-fitted: each case is judged
# by a Teacher that has not seen it.
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='crossfit', kind='distill', config=strong, folds=5),
    dict(name='student_crossfit', kind='train', config=weak, data_from='crossfit'),
]
