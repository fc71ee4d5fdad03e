"""Stain normalization of images and slides."""

from mitouts.stain.fit import Fit
from mitouts.stain.methods import METHODS
from mitouts.stain.normalizers import (
    HistogramNormalizer,
    MacenkoNormalizer,
    Normalizer,
    NormalizerChain,
    ReinhardNormalizer,
    StaintoolsNormalizer,
    build_normalizer,
    from_description,
)
from mitouts.stain.reference import DEFAULT_REFERENCE, Reference, fit_reference, load_reference

__all__ = [
    'DEFAULT_REFERENCE',
    'METHODS',
    'Fit',
    'HistogramNormalizer',
    'MacenkoNormalizer',
    'Normalizer',
    'NormalizerChain',
    'Reference',
    'ReinhardNormalizer',
    'StaintoolsNormalizer',
    'build_normalizer',
    'fit_reference',
    'from_description',
    'load_reference',
]
