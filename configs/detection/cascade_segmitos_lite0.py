# Any localizer may propose: here SegMitos, and a detector's config would do as well. To test the checkpoint again, take
# the cascade.py that lies beside it, which has its proposer.
segmitos = './segmitos_lite0.py'

stages = [
    dict(name='segmitos', kind='train', config=segmitos),
    dict(name='propose', kind='propose', config=segmitos, model_from='segmitos'),
    dict(name='verifier', kind='train', config='./verifier_lite0.py', data_from='propose'),
    dict(
        name='cascade',
        kind='cascade',
        config='./cascade-model_lite0.py',
        model_from='segmitos',
        verifier_from='verifier',
    ),
]
