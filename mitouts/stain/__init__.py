"""Normalizes the stain of images and slides to a reference."""

from mitouts.stain import methods  # registers the package's normalizers
from mitouts.stain.base import StainNormalizer, known_methods
from mitouts.stain.fit import Fit
from mitouts.stain.normalizers import NormalizerChain, build_normalizer, from_description
from mitouts.stain.reference import DEFAULT_REFERENCE, Reference, fit_reference, load_reference

__all__ = [
    'DEFAULT_REFERENCE',
    'Fit',
    'NormalizerChain',
    'Reference',
    'StainNormalizer',
    'build_normalizer',
    'fit_reference',
    'from_description',
    'known_methods',
    'load_reference',
    'methods',
]
