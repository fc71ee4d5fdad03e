# Both models are also tested on fields of which 10% are positive.
_base_ = './uts_lite0.py'

data = 'amibr-fields'
rare = ['test_dataloader.dataset.ann_file=data/amibr_fields/test_p10.json']
stages = [
    *_base_.stages,
    dict(name='teacher_p10', kind='test', config=_base_.strong, model_from='teacher', options=rare),
    dict(name='student_p10', kind='test', config=_base_.weak, model_from='student', options=rare),
]
