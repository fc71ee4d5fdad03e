"""Slides and images behind one interface: regions of any level, and views at a wanted resolution."""

from mitouts.slides.base import SlideHeader, SlideReader
from mitouts.slides.image_reader import ImageReader
from mitouts.slides.opening import open_slide
from mitouts.slides.openslide_reader import OpenSlideReader
from mitouts.slides.sampling import tissue_tiles
from mitouts.slides.tiff_reader import TiffReader
from mitouts.slides.view import MAX_UPSAMPLING, ScaledView, level_for_mpp

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
