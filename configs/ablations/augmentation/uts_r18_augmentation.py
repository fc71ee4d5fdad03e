# Figure 9: Teachers and Students with strong and weak augmentation. The Teacher with weak augmentation is also the
# control: the Student's training without distillation.
strong, weak = '../../wss/r18_max_strong.py', '../../wss/r18_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='control', kind='train', config=weak),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='weak_distill', kind='distill', config=weak, model_from='control'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='student_strong_strong', kind='train', config=strong, data_from='distill'),
    dict(name='student_weak_weak', kind='train', config=weak, data_from='weak_distill'),
    dict(name='student_weak_strong', kind='train', config=strong, data_from='weak_distill'),
]
