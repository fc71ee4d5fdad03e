# MIDOG21_HN for models that learn from points.
_base_ = '../midog21_hn.py'

metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=30), dict(type='CocoBoxMetric')]
train_dataloader = dict(dataset=dict(need_points=True))
val_evaluator = dict(metrics=metrics)
test_evaluator = dict(metrics=metrics)
