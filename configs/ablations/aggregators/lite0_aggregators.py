# Table 4, and four more aggregators: one training each.
names = [
    'embedding-mean',
    'embedding-max',
    'attention',
    'instance-mean',
    'instance-max',
    'log-sum-exp',
    'top-k',
    'gem',
    'noisy-or',
]
stages = [dict(name=name, kind='train', config=f'./lite0_{name}.py') for name in names]
