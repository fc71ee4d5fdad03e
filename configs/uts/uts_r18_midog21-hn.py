# Tables 3 and 7: hard negatives as positives, tested on clean labels and on labels with hard negatives.
_base_ = './uts_r18.py'

data = 'midog21-hn'
on_hn = ['test_dataloader.dataset.positive_categories=[1,2]']
stages = [
    *_base_.stages,
    dict(name='teacher_hn', kind='test', config=_base_.strong, model_from='teacher', options=on_hn),
    dict(name='student_hn', kind='test', config=_base_.weak, model_from='student', options=on_hn),
]
