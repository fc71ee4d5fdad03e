# Two Teachers, one on strong and one on weak augmentation, and a Student on what both keep. Run from the repository's
# root, see ../README.md.
custom_imports = dict(imports=['agreeing_teachers'], allow_failed_imports=False)

strong = 'mitouts::wss/lite0_max_strong_phantom'
weak = 'mitouts::wss/lite0_max_weak_phantom'
stages = [
    dict(name='strong', kind='train', config=strong),
    dict(name='weak', kind='train', config=weak),
    dict(name='distill_strong', kind='distill', config=strong, model_from='strong'),
    dict(name='distill_weak', kind='distill', config=weak, model_from='weak'),
    dict(name='agree', kind='agree', config=weak, first_from='distill_strong', second_from='distill_weak'),
    dict(name='student', kind='train', config=weak, data_from='agree'),
]
