# The same with 30% of the positive training fields mislabelled; validation and test are the noise-free ones. The
# control is the Student's training on all of the noisy data: what is left of a gain over it is the distillation's.
noisy = ['train_dataloader.dataset.ann_file=data/amibr_fields_noise30/train.json']

stages = [
    dict(name='teacher', kind='train', config='../wss/lite0_max_strong_amibr-fields.py', options=noisy),
    dict(
        name='distill',
        kind='distill',
        config='../wss/lite0_max_strong_amibr-fields.py',
        model_from='teacher',
        options=noisy,
    ),
    dict(name='student', kind='train', config='../wss/lite0_max_weak_amibr-fields.py', data_from='distill'),
    dict(name='control', kind='train', config='../wss/lite0_max_weak_amibr-fields.py', options=noisy),
]
