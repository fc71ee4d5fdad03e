"""Criteria that judge a training sample by the teacher's predictions, and the controls they are compared with."""

from mitouts.distillation.base import Control, Criterion
from mitouts.distillation.controls import OracleNoise, RandomDrop
from mitouts.distillation.criteria import CentroidDisagreement, PseudoLabel, SoftDisagreement
from mitouts.functional.distillation import Verdict

__all__ = [
    'CentroidDisagreement',
    'Control',
    'Criterion',
    'OracleNoise',
    'PseudoLabel',
    'RandomDrop',
    'SoftDisagreement',
    'Verdict',
]
