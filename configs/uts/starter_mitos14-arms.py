# The recipe of the starter model and what it is compared with; configs/suites/mitos14.yaml runs it over folds and seeds,
# which also says where the warmed-up weights are.
weak, teacher, student = '../wss/lite0_max_weak.py', '../wss/starter_teacher.py', '../wss/starter_student.py'

data = 'mitos14'
stages = [
    # What was tried first: ImageNet's weights, weak augmentation, 250 steps of 64 patches.
    dict(
        name='plain',
        kind='train',
        config=weak,
        options=[
            'train_dataloader.batch_size=64',
            '+train_dataloader.sampler.num_samples=1600',
            'train_cfg.max_epochs=10',
            'train_cfg.val_interval=10',
        ],
    ),
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
