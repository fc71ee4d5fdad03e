# AMi-Br fields for models that learn from points.
_base_ = '../amibr_fields.py'

metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_px=[30, 15]), dict(type='CocoBoxMetric')]
train_dataloader = dict(dataset=dict(need_points=True))
val_evaluator = dict(metrics=metrics)
test_evaluator = dict(metrics=metrics)
