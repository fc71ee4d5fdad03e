# A simulated rater, right nine times in ten, reviews what the distillation dropped; a Student on each.
_base_ = './uts_lite0.py'

data = 'phantom'
stages = [
    *_base_.stages,
    dict(name='review', kind='review', config=_base_.strong, data_from='distill', options=['+review.accuracy=0.9']),
    dict(name='reviewed', kind='train', config=_base_.weak, data_from='review'),
]
