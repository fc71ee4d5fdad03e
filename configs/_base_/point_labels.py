# Any data set, for models that learn from points: positive images without one are refused, and boxes are scored, too.
_base_ = './datasets/amibr_fields.py'

metrics = [*_base_.val_evaluator.metrics, dict(type='CocoBoxMetric')]
train_dataloader = dict(dataset=dict(need_points=True))
val_evaluator = dict(metrics=metrics)
test_evaluator = dict(metrics=metrics)
