"""Slides and images behind one interface: regions of any level, and views at a wanted resolution."""

from mitouts.imaging.base import SlideHeader, SlideReader
from mitouts.imaging.image_reader import ImageReader
from mitouts.imaging.opening import open_slide
from mitouts.imaging.openslide_reader import OpenSlideReader
from mitouts.imaging.sampling import tissue_tiles
from mitouts.imaging.tiff_reader import TiffReader
from mitouts.imaging.view import MAX_UPSAMPLING, ScaledView, level_for_mpp

__all__ = [
    'MAX_UPSAMPLING',
    'ImageReader',
    'OpenSlideReader',
    'ScaledView',
    'SlideHeader',
    'SlideReader',
    'TiffReader',
    'level_for_mpp',
    'open_slide',
    'tissue_tiles',
]
