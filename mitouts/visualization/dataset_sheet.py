"""Draws annotated points of a data set by category, to check that they have the right one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mitouts.errors import ImageError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.describe import AnnotatedPoint, Dataset, Finding, Image, choose_points
from mitouts.imaging import open_slide
from mitouts.visualization.figure_sheet import CropBlock, figure_sheet
from mitouts.visualization.palette import FAINT_INK, NEGATIVE_CLASS, POSITIVE_FRAME, RGB

COLUMNS = 8
OTHER_COLOUR: RGB = FAINT_INK
LOOK_ALIKE_COLOUR: RGB = tuple(bytes.fromhex(NEGATIVE_CLASS[1:]))  # type: ignore[assignment]


def draw_sheet(
    dataset: Dataset, usable: Sequence[Image], *, num: int, crop_px: int, seed: int
) -> tuple[np.ndarray | None, list[Finding]]:
    """Draw some annotations of each category, and list the images that cannot be read.

    Args:
        dataset: The data set.
        usable: Those of its images whose files are there.
        num: Annotations of each category.
        crop_px: Side of a crop in pixels.
        seed: Seed of the choice.

    Returns:
        The sheet, None where no image can be read or nothing is annotated; and what was found.
    """
    blocks, broken, resolutions = [], [], set()
    for category_id, name in sorted(dataset.categories.items()):
        chosen = choose_points(usable, category_id, num, seed)
        crops, captions = [], []
        for image, point in chosen:
            try:
                crops.append(read_crop(image, point, crop_px))
            except ImageError as error:
                broken.append(str(error))
                continue
            captions.append(f'{image.case_id}, {image.split}')
            resolutions.add(image.entry.get('mpp'))
        total = sum(point.category_id == category_id for image in dataset.images for point in image.points)
        title = f'{name}: {len(crops)} of {total:,}' if total else f'{name}: none'
        blocks.append(CropBlock(title, _colour(category_id), crops, captions))
    findings = [Finding('unreadable_image', len(broken), broken[0])] if broken else []
    if not any(block.crops for block in blocks):
        return None, findings
    mpp = resolutions.pop() if len(resolutions) == 1 else None
    note = f'crops of {crop_px} px around annotated points, from as many cases as possible (seed {seed})'
    return figure_sheet(blocks, COLUMNS, note=note, um_per_px=mpp), findings


def read_crop(image: Image, point: AnnotatedPoint, crop_px: int) -> np.ndarray:
    """Cut a square around a point, white beyond the image's edge."""
    with open_slide(image.path) as slide:
        corner = round(point.x) - crop_px // 2, round(point.y) - crop_px // 2
        return slide.read_region(corner, 0, (crop_px, crop_px))


def _colour(category_id: int) -> RGB:
    return {MITOTIC_FIGURE: POSITIVE_FRAME, HARD_NEGATIVE: LOOK_ALIKE_COLOUR}.get(category_id, OTHER_COLOUR)
