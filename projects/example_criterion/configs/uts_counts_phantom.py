# `make demo` with our criterion in it. Run from the repository's root, see ../README.md.
custom_imports = dict(imports=['count_disagreement'], allow_failed_imports=False)

strong = 'mitouts::wss/lite0_max_strong_phantom'
weak = 'mitouts::wss/lite0_max_weak_phantom'
by_count = ["distillation.criterion={'type': 'CountDisagreement', 'tolerance': 1}"]
stages = [
    dict(name='teacher', kind='train', config=strong),
    dict(name='distill', kind='distill', config=strong, model_from='teacher', options=by_count),
    dict(name='student', kind='train', config=weak, data_from='distill'),
]
