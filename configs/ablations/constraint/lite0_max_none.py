# The same Teacher without the constraint; both log how far predictions on the training images are from the annotations.
_base_ = '../../wss/lite0_max_strong.py'

custom_hooks = [*_base_.custom_hooks, dict(type='TrainingDistanceHook')]
