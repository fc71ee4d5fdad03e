# Hard negatives as positives, tested on clean labels and on labels with hard negatives.
strong, weak = '../wss/lite0_max_strong_midog21-hn.py', '../wss/lite0_max_weak_midog21-hn.py'
on_hn = ['test_dataloader.dataset.positive_categories=[1,2]']

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='teacher_hn', kind='test', config=strong, model_from='teacher', options=on_hn),
    dict(name='student_hn', kind='test', config=weak, model_from='student', options=on_hn),
]
