# The recipe for real tissue and what it is compared with; configs/suites/mitos14.yaml runs it over folds and seeds,
# which also says where the warmed-up weights are.
teacher, student = '../wss/lite0_max_real.py', '../wss/lite0_max_real-student.py'

data = 'mitos14'
stages = [
    # What was tried first, and what the starter model was trained by.
    dict(name='plain', kind='train', config='../wss/starter.py'),
    dict(name='teacher', kind='train', config=teacher),
    dict(name='distill', kind='distill', config=teacher, model_from='teacher'),
    dict(name='student', kind='train', config=student, data_from='distill', weights_from='teacher'),
    # The Student's steps on all of the data, and on all of it with the Teacher's hard negatives.
    dict(
        name='control',
        kind='train',
        config=student,
        options=["train_dataloader.sampler={'_delete_':True,'type':'ClassBalancedSampler','num_samples':1600}"],
        weights_from='teacher',
    ),
]
