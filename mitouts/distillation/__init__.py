"""Criteria that judge a training sample by the teacher's predictions, and the controls they are compared with."""

from mitouts.distillation.controls import OracleNoise, RandomDrop
from mitouts.distillation.criteria import CentroidDisagreement, PseudoLabel, SoftDisagreement, Verdict

__all__ = ['CentroidDisagreement', 'OracleNoise', 'PseudoLabel', 'RandomDrop', 'SoftDisagreement', 'Verdict']
