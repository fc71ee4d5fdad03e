# Teacher and Student in one training, on the phantom.
_base_ = '../wss/lite0_max_weak_phantom.py'

custom_hooks = [*_base_.custom_hooks, dict(type='EMATeacherHook')]
