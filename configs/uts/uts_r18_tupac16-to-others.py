# Tables 2 and 3: TUPAC16's Teacher and Student, tested on data sets that they were not trained on.
# After uts_r18_tupac16.py, only the tests run: --work-dir work_dirs/uts_r18_tupac16 --resume
_base_ = './uts_r18_tupac16.py'

stages = [
    *_base_.stages,
    dict(name='teacher_mitos14', kind='test', config='../wss/r18_max_strong_mitos14.py', model_from='teacher'),
    dict(name='student_mitos14', kind='test', config='../wss/r18_max_weak_mitos14.py', model_from='student'),
    dict(name='teacher_midog21', kind='test', config='../wss/r18_max_strong_midog21.py', model_from='teacher'),
    dict(name='student_midog21', kind='test', config='../wss/r18_max_weak_midog21.py', model_from='student'),
]
