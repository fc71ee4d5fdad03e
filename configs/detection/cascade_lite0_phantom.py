# A Student and its verifier on the data that come with the project: minutes on a CPU.
strong, weak = '../wss/lite0_max_strong_phantom.py', '../wss/lite0_max_weak_phantom.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    # The verifier, too, learns from what the distillation kept.
    dict(name='propose', kind='propose', config=weak, model_from='student', data_from='distill'),
    dict(name='verifier', kind='train', config='./verifier_lite0_phantom.py', data_from='propose'),
    dict(
        name='cascade',
        kind='cascade',
        config='./cascade-model_lite0_phantom.py',
        model_from='student',
        verifier_from='verifier',
    ),
]
