# Figure 6: one training for each depth.
names = ['stages1', 'stages2', 'stages3', 'stages4']
stages = [dict(name=name, kind='train', config=f'./r18_{name}.py') for name in names]
