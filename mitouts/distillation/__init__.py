"""Criteria that judge a training sample by the teacher's predictions."""

from mitouts.distillation.criteria import CentroidDisagreement, PseudoLabel, Verdict

__all__ = ['CentroidDisagreement', 'PseudoLabel', 'Verdict']
