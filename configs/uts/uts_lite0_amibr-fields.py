# Teacher (strong augmentation) -> distillation -> Student (weak augmentation) on AMi-Br fields; both are also tested on
# fields of which 10% are positive.
rare = ['test_dataloader.dataset.ann_file=data/amibr_fields/test_p10.json']

stages = [
    dict(name='teacher', kind='train', config='../wss/lite0_max_strong_amibr-fields.py'),
    dict(name='distill', kind='distill', config='../wss/lite0_max_strong_amibr-fields.py', model_from='teacher'),
    dict(name='student', kind='train', config='../wss/lite0_max_weak_amibr-fields.py', data_from='distill'),
    dict(
        name='teacher_p10',
        kind='test',
        config='../wss/lite0_max_strong_amibr-fields.py',
        model_from='teacher',
        options=rare,
    ),
    dict(
        name='student_p10',
        kind='test',
        config='../wss/lite0_max_weak_amibr-fields.py',
        model_from='student',
        options=rare,
    ),
]
