# Teacher -> distillation -> Student as in uts_lite0.py. The Student proposes, a patch classifier that was trained on
# its false proposals verifies (the design of CasNN, Chen et al. 2016, and of Tellez et al. 2018).
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'

stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    # The verifier, too, learns from what the distillation kept.
    dict(name='propose', kind='propose', config=weak, model_from='student', data_from='distill'),
    dict(name='verifier', kind='train', config='./verifier_lite0.py', data_from='propose'),
    dict(
        name='cascade',
        kind='cascade',
        config='./cascade-model_lite0.py',
        model_from='student',
        verifier_from='verifier',
    ),
]
