# A simulated rater, right nine times in ten, reviews what the distillation dropped; a Student on each.
strong, weak = '../wss/lite0_max_strong_phantom.py', '../wss/lite0_max_weak_phantom.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='review', kind='review', config=strong, data_from='distill', options=['+review.accuracy=0.9']),
    dict(name='reviewed', kind='train', config=weak, data_from='review'),
]
