# 30% of the positive training fields are mislabelled; validation and test are the noise-free ones. The control is the
# Student's training on all of the noisy data: what is left of a gain over it is the distillation's.
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'
noisy = ['train_dataloader.dataset.ann_file=data/amibr_fields_noise30/train.json']

data = 'amibr-fields'
stages = [
    dict(name='teacher', kind='train', config=strong, options=noisy),
    dict(name='distill', kind='distill', config=strong, model_from='teacher', options=noisy),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='control', kind='train', config=weak, options=noisy),
]
