# The paper's policy: a positive image is kept if any predicted point is on an annotated one.
_base_ = './uts_r18_policies.py'

stages = [stage for stage in _base_.stages if stage.name in ('teacher', 'any_true_distill', 'any_true')]
