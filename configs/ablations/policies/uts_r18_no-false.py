# A positive image is kept unless a predicted point is off all annotated ones.
_base_ = './uts_r18_policies.py'

stages = [stage for stage in _base_.stages if stage.name in ('teacher', 'no_false_distill', 'no_false')]
