# Teacher and Student in one training: the Student's moving average judges the positive images after each validation.
_base_ = '../wss/r18_max_weak.py'

custom_hooks = [*_base_.custom_hooks, dict(type='EMATeacherHook')]
