# Tables 2 and 3: TUPAC16's Teacher and Student, tested on data sets that they were not trained on.
# After uts_r18.py --data tupac16, only the tests run: --work-dir work_dirs/uts_r18_tupac16 --resume
_base_ = './uts_r18.py'

data = 'tupac16'
strong, weak = _base_.strong, _base_.weak
stages = [
    *_base_.stages,
    dict(name='teacher_mitos14', kind='test', config=strong, data='mitos14', model_from='teacher'),
    dict(name='student_mitos14', kind='test', config=weak, data='mitos14', model_from='student'),
    dict(name='teacher_midog21', kind='test', config=strong, data='midog21', model_from='teacher'),
    dict(name='student_midog21', kind='test', config=weak, data='midog21', model_from='student'),
]
