"""Measures, normalizes and augments the colours of haematoxylin and eosin, on RGB uint8 arrays."""

from mitouts.functional.stain.density import (
    HED_RUIFROK,
    complete_stains,
    has_tissue,
    jitter_stain,
    map_density,
    sample_pixels,
)
from mitouts.functional.stain.fourier import low_frequencies, swap_amplitude
from mitouts.functional.stain.histogram import ChannelQuantiles, apply_histogram, fit_histogram
from mitouts.functional.stain.macenko import StainFit, apply_stain_fit, fit_macenko, is_usable, stain_matrix
from mitouts.functional.stain.reinhard import LabMoments, apply_reinhard, fit_reinhard

__all__ = [
    'HED_RUIFROK',
    'ChannelQuantiles',
    'LabMoments',
    'StainFit',
    'apply_histogram',
    'apply_reinhard',
    'apply_stain_fit',
    'complete_stains',
    'fit_histogram',
    'fit_macenko',
    'fit_reinhard',
    'has_tissue',
    'is_usable',
    'jitter_stain',
    'low_frequencies',
    'map_density',
    'sample_pixels',
    'stain_matrix',
    'swap_amplitude',
]
