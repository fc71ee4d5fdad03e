"""Judges training samples by the Teacher's predictions, or by controls for comparison."""

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
