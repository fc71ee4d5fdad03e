"""Reads images and slides behind one interface: regions of any level, views at a wanted resolution."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mitouts.imaging.base import SlideHeader, SlideReader
    from mitouts.imaging.opening import open_slide
    from mitouts.imaging.sampling import tissue_tiles
    from mitouts.imaging.view import MAX_UPSAMPLING, ScaledView

__all__ = ['MAX_UPSAMPLING', 'ScaledView', 'SlideHeader', 'SlideReader', 'open_slide', 'tissue_tiles']

_MODULES = {
    'MAX_UPSAMPLING': 'view',
    'ScaledView': 'view',
    'SlideHeader': 'base',
    'SlideReader': 'base',
    'open_slide': 'opening',
    'tissue_tiles': 'sampling',
}


def __getattr__(name: str) -> Any:
    # Who reads a PNG loads neither the registries nor a TIFF library, which take seconds and megabytes.
    if name in _MODULES:
        return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
    raise AttributeError(f'module {__name__} has no attribute {name}')
