# A positive image is kept if predicted and annotated points are the same.
_base_ = './uts_lite0_policies.py'

stages = [stage for stage in _base_.stages if stage.name in ('teacher', 'perfect_distill', 'perfect')]
