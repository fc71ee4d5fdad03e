# Look-alikes as positives (they are the noise), tested on clean labels: distillation, all of the data, and the oracle
# that drops exactly the noise.
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'

data = 'mitos14-hn'
stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='control', kind='train', config=weak),
    dict(
        name='oracle_drop',
        kind='distill',
        config=strong,
        options=["distillation.criterion={'type':'OracleNoise'}"],
    ),
    dict(name='oracle', kind='train', config=weak, data_from='oracle_drop'),
]
