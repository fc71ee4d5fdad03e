# Table 5 and Figure 7: Teachers without and with the location constraint.
names = ['none', 'l2', 'log-barrier']
stages = [dict(name=name, kind='train', config=f'./r18_max_{name}.py') for name in names]
