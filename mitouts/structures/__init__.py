"""Data structures: samples of a training, and the records of annotated and predicted images."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mitouts.structures.image_record import EvaluatedImage, EvaluatedImages, ImagePrediction, ImageTruth

if TYPE_CHECKING:
    from mitouts.structures.point_sample import PointSample
    from mitouts.structures.tissue_sample import TissueSample

__all__ = ['EvaluatedImage', 'EvaluatedImages', 'ImagePrediction', 'ImageTruth', 'PointSample', 'TissueSample']

# Reading a file of predictions must not load torch.
_WITH_TORCH = {'PointSample': 'point_sample', 'TissueSample': 'tissue_sample'}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_WITH_TORCH[name]}'), name)
