"""Judges training samples by the Teacher's predictions: criteria, and the controls they are compared with."""

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
