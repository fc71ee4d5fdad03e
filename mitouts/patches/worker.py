"""Reads, normalizes and writes rows of patches, in every process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.tissue_mask import tissue_mask, tissue_share
from mitouts.imaging import ScaledView, open_slide, tissue_tiles
from mitouts.imaging.image import write_rgb
from mitouts.imaging.sampling import even_tiles
from mitouts.patches.images import Options
from mitouts.registry import import_packages
from mitouts.stain import Fit, NormalizerChain, from_description

MAX_STRIP_PX = 16_384
"""Largest width that is read at once, because a whole row of a slide may not fit into memory."""
_THUMBNAIL_PX = 2048


@dataclass(frozen=True)
class PatchSettings:
    """Settings that all rows share.

    Attributes:
        out: Folder that patches are written to.
        stain: JSON of the normalizer's description; ``null`` for none.
    """

    out: str
    stain: str
    options: Options


@dataclass(frozen=True)
class Source:
    """An image that patches are cut from.

    Attributes:
        mpp: Micrometres per pixel as its annotation file says, or None.
    """

    image_id: int
    path: str
    mpp: float | None


@dataclass(frozen=True)
class PatchRow:
    """A row of patches of one image.

    Attributes:
        folder: Folder of its patches, relative to the output folder.
        y: First pixel row of the patches.
        columns: First pixel columns of the patches.
        keep: Columns that are never skipped, because they show a figure.
        fit: The image's stain fit; None if the image could not be fitted, or if each patch is fitted.
    """

    source: Source
    folder: str
    y: int
    columns: Sequence[int]
    keep: frozenset[int]
    fit: Mapping[str, Any] | None


def patch_name(folder: str, x: int, y: int) -> str:
    """Return the file of the patch whose first pixel is ``(x, y)``, relative to the output folder."""
    return f'{folder}/{x:06d}_{y:06d}.png'


def start(modules: Sequence[str] = ()) -> None:
    """Prepare a worker process: limit it to one thread, because the processes share the cores.

    Args:
        modules: Modules outside the package that register components; a new process has to import them.
    """
    cv2.setNumThreads(1)
    import_packages(modules)


def write_row(settings: PatchSettings, row: PatchRow) -> dict[str, Any]:
    """Write the patches of a row.

    Returns:
        ``image_id``, ``y``, and the columns of patches that were ``written``, ``skipped`` as background, and left
        ``unchanged`` because their stain could not be normalized.

    Raises:
        ImageError: The image cannot be read.
    """
    view = _view(row.source, settings.options)
    normalizer = _normalizer(settings.stain)
    fit = None if row.fit is None else Fit.from_dict(row.fit)
    done: dict[str, Any] = {'image_id': row.source.image_id, 'y': row.y, 'written': [], 'skipped': [], 'unchanged': []}
    candidates = [x for x in row.columns if x in row.keep or _may_hold_tissue(settings, view, x, row.y)]
    done['skipped'] += sorted(set(row.columns) - set(candidates))
    for x, patch in _read(view, candidates, row.y, settings.options.patch_px):
        if x not in row.keep and settings.options.min_tissue > 0 and tissue_share(patch) < settings.options.min_tissue:
            done['skipped'].append(x)
            continue
        if normalizer is not None:
            normalized = fit is not None or settings.options.fit == 'patch'
            if normalized:
                patch, normalized = normalizer.normalize(patch, fit)
            if not normalized:
                done['unchanged'].append(x)
        write_rgb(Path(settings.out) / patch_name(row.folder, x, row.y), patch)
        done['written'].append(x)
    return done


def fit_images(settings: PatchSettings, sources: Sequence[Source]) -> dict[str, Any]:
    """Fit the stain of whole images together, on tiles spread over them (over the tissue of a slide with a pyramid).

    Returns:
        ``image_ids`` and ``fit``, which is None where the images cannot be fitted.
    """
    normalizer = _normalizer(settings.stain)
    assert normalizer is not None
    fit = normalizer.fit_tiles(tile for source in sources for tile in _sample_tiles(settings, source))
    return {
        'image_ids': [source.image_id for source in sources],
        'fit': None if fit is None else fit.to_dict(),
    }


def _sample_tiles(settings: PatchSettings, source: Source) -> Iterator[NDArray[np.uint8]]:
    view = _view(source, settings.options)
    if len(view.reader.level_dimensions) > 1:
        # On a slide most of an even grid would be glass.
        return tissue_tiles(view, _thumbnail_mask(source.path))
    return even_tiles(view.dimensions, view.read)


def _read(view: ScaledView, columns: Sequence[int], y: int, patch_px: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    begin = 0
    while begin < len(columns):
        left, end = columns[begin], begin + 1
        # A gap of skipped patches ends the strip as well.
        while end < len(columns) and columns[end] <= columns[end - 1] + patch_px:
            if columns[end] + patch_px - left > MAX_STRIP_PX:
                break
            end += 1
        strip = view.read(left, y, columns[end - 1] + patch_px - left, patch_px)
        for x in columns[begin:end]:
            yield x, np.ascontiguousarray(strip[:, x - left : x - left + patch_px])
        begin = end


def _may_hold_tissue(settings: PatchSettings, view: ScaledView, x: int, y: int) -> bool:
    """Tell by the thumbnail whether a patch may hold tissue, so that glass is not even read."""
    if settings.options.min_tissue <= 0 or len(view.reader.level_dimensions) == 1:
        return True
    mask = _thumbnail_mask(str(view.reader.path))
    scale = mask.shape[1] / view.dimensions[0], mask.shape[0] / view.dimensions[1]
    left, top = int(x * scale[0]) - 1, int(y * scale[1]) - 1
    side = settings.options.patch_px
    right, bottom = int((x + side) * scale[0]) + 2, int((y + side) * scale[1]) + 2
    return bool(mask[max(top, 0) : bottom, max(left, 0) : right].any())


@lru_cache(maxsize=2)
def _thumbnail_mask(path: str) -> NDArray[np.bool_]:
    with open_slide(path) as reader:
        return tissue_mask(reader.thumbnail(_THUMBNAIL_PX))


@lru_cache(maxsize=1)
def _view(source: Source, options: Options) -> ScaledView:
    return options.view(open_slide(source.path, mpp=source.mpp))


@lru_cache(maxsize=1)
def _normalizer(description: str) -> NormalizerChain | None:
    return from_description(json.loads(description))
