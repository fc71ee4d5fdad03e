# Figure 6: one training for each depth.
names = ['stride4', 'stride8', 'stride16', 'stride32']
stages = [dict(name=name, kind='train', config=f'./lite0_{name}.py') for name in names]
