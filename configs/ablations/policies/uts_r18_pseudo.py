# Table 6: the Teacher's image labels instead of the annotators', no image dropped.
_base_ = './uts_r18_policies.py'

stages = [stage for stage in _base_.stages if stage.name in ('teacher', 'pseudo_distill', 'pseudo')]
