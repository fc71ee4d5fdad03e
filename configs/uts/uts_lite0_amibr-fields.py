# Teacher (strong augmentation) -> distillation -> Student (weak augmentation) on AMi-Br fields.
stages = [
    dict(name='teacher', kind='train', config='../wss/lite0_max_strong_amibr-fields.py'),
    dict(name='distill', kind='distill', config='../wss/lite0_max_strong_amibr-fields.py', model_from='teacher'),
    dict(name='student', kind='train', config='../wss/lite0_max_weak_amibr-fields.py', data_from='distill'),
]
