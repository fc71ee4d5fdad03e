"""Joins the x40 frames of MITOS-ATYPIA 2014 into the larger areas that they are quarters of, saved as small slides.

Frame ``H03_00Aa`` is quarter ``a`` of area ``H03_00A`` (x20), which is quarter ``A`` of area ``H03_00`` (x10). Quarters
are laid out as ``A B / C D`` and ``a b / c d``, without gaps or overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.imaging.image import read_rgb
from mitouts.imaging.slide_writer import write_slide
from mitouts.utils.defaults import AreaMagnification

TOOL = 'mitos14_areas'
ANN_NAME = 'ann.json'

JPEG_QUALITY = 95
"""JPEG quality of areas. The frames are JPEG already; at this quality joining them adds about one grey level."""

_QUARTERS: dict[AreaMagnification, list[list[str]]] = {
    'x20': [['a', 'b'], ['c', 'd']],
    'x10': [['Aa', 'Ab', 'Ba', 'Bb'], ['Ac', 'Ad', 'Bc', 'Bd'], ['Ca', 'Cb', 'Da', 'Db'], ['Cc', 'Cd', 'Dc', 'Dd']],
}
_GLASS = np.array([243, 242, 244], dtype=np.uint8)


def complete_areas(frames: Iterable[str], magnification: AreaMagnification) -> list[str]:
    """Return the names of the areas whose frames are all present.

    Args:
        frames: Names of frames at x40, such as ``H03_00Aa``.
        magnification: ``x20`` for areas of 4 frames, ``x10`` for areas of 16.

    Returns:
        Their names, such as ``H03_00A`` (x20) or ``H03_00`` (x10), sorted.
    """
    there = set(frames)
    length = {'x20': 7, 'x10': 6}[magnification]
    quarters = [quarter for row in _QUARTERS[magnification] for quarter in row]
    return sorted(
        area for area in {frame[:length] for frame in there} if all(area + quarter in there for quarter in quarters)
    )


def join_areas(
    document: Mapping[str, Any], image_root: Path, out: Path, magnification: AreaMagnification = 'x20'
) -> dict[str, Any]:
    """Write every complete area as a pyramidal TIFF, ``OUT/AREA.tif``, and the annotations of all, ``OUT/ann.json``.

    Args:
        document: Annotation file of the frames, as the converter ``mitos14`` writes it.
        image_root: The folder that its file names are relative to.
        magnification: ``x20`` for areas of 4 frames, ``x10`` for areas of 16.

    Returns:
        The annotation document of the areas: an image each, with the points, categories and confidences of its frames.

    Raises:
        AnnotationError: No area is complete, or frames that lie side by side do not fit together.
    """
    frames = {PurePosixPath(image['file_name']).stem: image for image in document['images']}
    areas = complete_areas(frames, magnification)
    if not areas:
        raise AnnotationError(
            f'no area at {magnification} has all of its {4 if magnification == "x20" else 16} frames among the '
            f'{len(frames)} images: expected names such as H03_00Aa, H03_00Ab, H03_00Ac, H03_00Ad'
        )
    out.mkdir(parents=True, exist_ok=True)
    of_frame: dict[int, list[Mapping[str, Any]]] = {}
    for annotation in document['annotations']:
        of_frame.setdefault(annotation['image_id'], []).append(annotation)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for area in areas:
        grid = [[frames[area + quarter] for quarter in row] for row in _QUARTERS[magnification]]
        columns_px, rows_px = _offsets(area, grid)
        first = grid[0][0]
        pixels = np.concatenate(
            [np.concatenate([read_rgb(image_root / image['file_name']) for image in row], axis=1) for row in grid]
        )
        file_name = f'{area}.tif'
        _write(out / file_name, pixels, first['mpp'])
        extra = {'scanner': first['scanner']} if 'scanner' in first else {}
        image_id = len(images) + 1
        images.append(
            coco.make_image(
                image_id,
                file_name,
                pixels.shape[1],
                pixels.shape[0],
                case_id=first['case_id'],
                mpp=first['mpp'],
                **extra,
            )
        )
        for y_px, row in zip(rows_px, grid):
            for x_px, image in zip(columns_px, row):
                annotations += [
                    _moved(annotation, len(annotations) + 1 + offset, image_id, x_px, y_px)
                    for offset, annotation in enumerate(of_frame.get(image['id'], []))
                ]
    joined = coco.make_document(
        images,
        annotations,
        name=f'MITOS14 areas at {magnification}',
        tool=TOOL,
        arguments={'magnification': magnification},
    )
    coco.write_json(out / ANN_NAME, joined)
    return joined


def _offsets(area: str, grid: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[list[int], list[int]]:
    """Return where the columns and the rows of frames begin, in pixels of the area."""
    widths = [{image['width'] for image in column} for column in zip(*grid)]
    heights = [{image['height'] for image in row} for row in grid]
    if any(len(sizes) > 1 for sizes in (*widths, *heights)) or len({image['mpp'] for row in grid for image in row}) > 1:
        listed = ', '.join(
            f'{image["width"]} x {image["height"]} px at {image["mpp"]}' for row in grid for image in row
        )
        raise AnnotationError(f'area {area}: its frames differ in size or um/px and do not fit together: {listed}')
    return _starts(widths), _starts(heights)


def _starts(sizes: Sequence[set[int]]) -> list[int]:
    lengths = [next(iter(size)) for size in sizes]
    return [sum(lengths[:index]) for index in range(len(lengths))]


def _moved(annotation: Mapping[str, Any], annotation_id: int, image_id: int, x_px: int, y_px: int) -> dict[str, Any]:
    x, y = annotation['point']
    left, top, width, height = annotation['bbox']
    return {
        **annotation,
        'id': annotation_id,
        'image_id': image_id,
        'point': [x + x_px, y + y_px],
        'bbox': [left + x_px, top + y_px, width, height],
    }


def _write(path: Path, pixels: NDArray[np.uint8], mpp: float) -> None:
    def read(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        part = pixels[y : y + height, x : x + width]
        short = ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0))
        # Repeated, not glass: JPEG would smear a hard edge into the last columns of tissue.
        return np.pad(part, short, mode='edge')

    write_slide(
        path, read, (pixels.shape[1], pixels.shape[0]), _GLASS, mpp, quality=JPEG_QUALITY, software='mitouts areas'
    )
