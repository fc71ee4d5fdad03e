"""Finds the stain normalization of images that ``prepare_patches`` has written."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from mitouts.formats.coco import read_coco
from mitouts.formats.splits import SPLITS
from mitouts.patches.documents import NO_SPLIT_NAME, TOOL
from mitouts.patches.images import IMAGES_FOLDER


def colours_of_patch(path: Path) -> dict[str, Any] | None:
    """Return the stain description of the data set that a patch's image file belongs to.

    Returns:
        None if it is not a patch of ``prepare_patches``, or its colours are as scanned.

    Raises:
        AnnotationError: The annotation file of its data set is broken.
    """
    for parent in path.absolute().parents:
        if parent.name == IMAGES_FOLDER:
            colours = _colours_of_folder(parent.parent)
            if colours is not None:
                return colours
    return None


@lru_cache(maxsize=64)
def _colours_of_folder(folder: Path) -> dict[str, Any] | None:
    for name in (*SPLITS, NO_SPLIT_NAME):
        file = folder / f'{name}.json'
        if file.is_file():
            made = read_coco(file).get('info', {}).get('mitouts', {})
            if made.get('tool') == TOOL:
                return made.get('stain_reference')
    return None
