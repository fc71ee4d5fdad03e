# Distillation and what it is compared with, on mislabelled AMi-Br fields; configs/suites/fields.yaml runs it over folds
# and seeds. The primary comparison is student against control: the same training, with and without distillation.
strong, weak = '../wss/lite0_max_strong.py', '../wss/lite0_max_weak.py'


def distilled(name, criterion, **source):
    options = [f'distillation.criterion={criterion!r}'.replace(' ', '')]
    return dict(name=name, kind='distill', config=strong, options=options, **source)


def reviewed(name, **settings):
    options = [f'+review={settings!r}'.replace(' ', '')]
    return dict(name=name, kind='review', config=strong, options=options, data_from='distill')


data = 'amibr-fields'
stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher'),
    dict(name='student', kind='train', config=weak, data_from='distill'),
    dict(name='control', kind='train', config=weak),
    # As many positives dropped, but at random; and exactly the mislabelled ones.
    distilled('random_drop', dict(type='RandomDrop'), data_from='distill'),
    dict(name='random', kind='train', config=weak, data_from='random_drop'),
    distilled('oracle_drop', dict(type='OracleNoise')),
    dict(name='oracle', kind='train', config=weak, data_from='oracle_drop'),
    # One training, and what of its gain the averaging of weights alone would give.
    dict(name='ema', kind='train', config='./ema_lite0.py'),
    dict(
        name='ema_control',
        kind='train',
        config='./ema_lite0.py',
        # A Teacher that is never ready.
        options=['+custom_hooks.-1.judge_from=1000'],
    ),
    dict(name='ema_soft', kind='train', config='./ema-soft_lite0.py'),
    # Weights instead of discarding, other policies, and the Teacher's labels instead of the annotators'.
    distilled('soft_distill', dict(type='SoftDisagreement'), model_from='teacher'),
    dict(name='soft', kind='train', config=weak, data_from='soft_distill'),
    distilled('no_false_distill', dict(type='CentroidDisagreement', policy='no_false'), model_from='teacher'),
    dict(name='no_false', kind='train', config=weak, data_from='no_false_distill'),
    distilled('perfect_distill', dict(type='CentroidDisagreement', policy='perfect'), model_from='teacher'),
    dict(name='perfect', kind='train', config=weak, data_from='perfect_distill'),
    distilled('pseudo_distill', dict(type='PseudoLabel'), model_from='teacher'),
    dict(name='pseudo', kind='train', config=weak, data_from='pseudo_distill'),
    # Figure 9: a Teacher with weak augmentation is the control; its Student, and Students with strong augmentation.
    dict(name='weak_distill', kind='distill', config=weak, model_from='control'),
    dict(name='student_weak_weak', kind='train', config=weak, data_from='weak_distill'),
    dict(name='student_weak_strong', kind='train', config=strong, data_from='weak_distill'),
    dict(name='student_strong_strong', kind='train', config=strong, data_from='distill'),
    # What was dropped is reviewed instead, by a simulated rater who is right nine times in ten; and, as the best that
    # any review can do, every label of the training images is put right.
    reviewed('review', accuracy=0.9),
    dict(name='reviewed', kind='train', config=weak, data_from='review'),
    reviewed('clean_review', accuracy=1.0, include='all'),
    dict(name='clean', kind='train', config=weak, data_from='clean_review'),
]
del distilled, reviewed
