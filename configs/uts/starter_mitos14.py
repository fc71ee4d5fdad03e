# The starter model: a warm-up on AMi-Br fields, then Teacher, distillation and Student on patches of real tissue.
# docs/models.md has the commands that make the data.
teacher, student = '../wss/starter_teacher.py', '../wss/starter_student.py'

data = 'mitos14'
stages = [
    dict(
        name='warm_up',
        kind='train',
        config=teacher,
        options=['train_dataloader.dataset.ann_file=data/amibr_fields_mitos14/train.json'],
    ),
    dict(name='teacher', kind='train', config=teacher, weights_from='warm_up'),
    dict(name='distill', kind='distill', config=teacher, model_from='teacher'),
    dict(name='student', kind='train', config=student, data_from='distill', weights_from='teacher'),
]
