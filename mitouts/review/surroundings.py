"""Reads what lies around a patch from the image that it was cut from, if that is available."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.review.items import Item
from mitouts.review.squares import OUTSIDE, cut, stays_inside

if TYPE_CHECKING:
    from mitouts.imaging import ScaledView
    from mitouts.stain import NormalizerChain

_OPEN_SOURCES = 2
ASSUMED_SOURCE_MPP = 1.0
"""Resolution assumed for a source of unknown resolution; only its ratio to the patch's matters."""


def source_roots(image_root: Path, annotations: Path, document: Mapping[str, Any], given: Path | None) -> list[Path]:
    """List the folders where the images that patches were cut from may lie, the likeliest first.

    Args:
        image_root: Folder of the patches.
        annotations: Their annotation file.
        document: Content of the annotation file; ``info.mitouts.source_root`` is relative to ``image_root``.
        given: Folder named by the user; if given, no other is searched.
    """
    if given is not None:
        return [given]
    recorded = (document.get('info') or {}).get('mitouts') or {}
    named = recorded.get('source_root') if isinstance(recorded, Mapping) else None
    return [*([image_root / named] if isinstance(named, str) else []), image_root, annotations.parent]


class Surroundings:
    """Reads squares around items from the images that their patches were cut from.

    Its methods may be called from any thread.

    Args:
        roots: Folders in which a source is looked for.
        items: Items whose surroundings can be asked for.
        normalizer: The stain normalization of the patches; None where they have the colours of their sources.
    """

    def __init__(self, roots: Sequence[Path], items: Iterable[Item], normalizer: NormalizerChain | None = None) -> None:
        names = {item.source_image for item in items if item.source_xy_px is not None}
        found = {name: _find(roots, name) for name in sorted(names)}
        self._paths = {name: path for name, path in found.items() if path is not None}
        self.missing = [name for name, path in found.items() if path is None]
        self._normalizer = normalizer
        self._views: OrderedDict[tuple[str, float | None, float], ScaledView] = OrderedDict()
        # Readers are not thread-safe.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of sources that are available."""
        return len(self._paths)

    def read(self, item: Item, side_px: int) -> NDArray[np.uint8] | None:
        """Read a square with the given side around an item's anchor.

        Returns:
            Array ``(side, side, 3)``, RGB, at the patch's resolution, grey outside the source; None where there is no
            source, or it cannot be read.
        """
        if item.source_xy_px is None or item.source_image not in self._paths:
            return None
        centre = item.source_xy_px[0] + item.anchor_px[0], item.source_xy_px[1] + item.anchor_px[1]
        with self._lock:
            try:
                view = self._view(item)
                square = cut(view.read, *view.dimensions, centre, side_px)
            except (ImageError, OSError):
                # What can be had of the patch itself is shown; the source is a help.
                self._paths.pop(item.source_image)
                return None
        if self._normalizer is None:
            return square
        outside = (square == OUTSIDE).all(axis=2, keepdims=True)
        return np.where(outside, square, self._normalizer.normalize(square)[0])

    def _view(self, item: Item) -> ScaledView:
        from mitouts.imaging import ScaledView, open_slide

        key = item.source_image, item.mpp, item.source_downsample
        view = self._views.pop(key, None)
        if view is None:
            patch_mpp = item.mpp or ASSUMED_SOURCE_MPP * item.source_downsample
            reader = open_slide(self._paths[item.source_image], mpp=patch_mpp / item.source_downsample)
            view = ScaledView(reader, mpp=patch_mpp)
        self._views[key] = view
        while len(self._views) > _OPEN_SOURCES:
            self._views.popitem(last=False)
        return view


def _find(roots: Sequence[Path], name: str) -> Path | None:
    if not stays_inside(name):
        return None
    return next((root / name for root in roots if (root / name).is_file()), None)
