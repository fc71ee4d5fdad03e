# For real tissue: a warm-up on AMi-Br fields, then Teacher, distillation and Student on patches of 250 px.
# configs/suites/mitos14.yaml has the commands that make the data.
teacher, student = '../wss/lite0_max_real.py', '../wss/lite0_max_real-student.py'

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
