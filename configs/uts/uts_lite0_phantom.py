# `make demo`: Teacher -> distillation -> Student on the phantom, in minutes on two cores.
stages = [
    dict(name='teacher', kind='train', config='../wss/lite0_max_strong_phantom.py'),
    dict(name='distill', kind='distill', config='../wss/lite0_max_strong_phantom.py', model_from='teacher'),
    dict(name='student', kind='train', config='../wss/lite0_max_weak_phantom.py', data_from='distill'),
]
