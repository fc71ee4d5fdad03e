# The same with weights from the distance instead of discarding.
_base_ = './ema_r18.py'

distillation = dict(criterion=dict(_delete_=True, type='SoftDisagreement'))
