"""The AMi-Br data set as its public repository lays it out: 128 px crops centred on the mitotic figures of MIDOG 2021.

``AMI-BR.csv`` has one figure a row; its crop is ``patches/{normal,atypical}/<dataset>_<uid>.png``.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mitouts.errors import AnnotationError, AnnotationWarning, ImageError

CSV_NAME = 'AMI-BR.csv'
CROP_PX = 128
CROP_MPP = 0.25
# A crop spans the slide's pixels x - 64 .. x + 63, as the black rows and columns of crops at slide borders show. The
# csv counts from the slide's corner and not from a pixel's centre: the chromatin of all crops averages to 63.5, not to
# 64. So the figure is in the crop's middle, and stays there when the crop is turned.
CROP_CENTER_PX = (CROP_PX - 1) / 2
COLUMNS = ('slide', 'dataset', 'uid', 'x', 'y', 'majority_atypical')


@dataclass(frozen=True)
class Figure:
    """One mitotic figure.

    Attributes:
        slide: File name of its slide, such as ``002.tiff``.
        uid: Its id, unique in the data set.
        x: Column on the slide in pixels at 0.25 um/px.
        y: Row on the slide in pixels.
        atypical: Whether the majority of three experts calls it atypical.
        path: Its crop.
    """

    slide: str
    uid: str
    x: int
    y: int
    atypical: bool
    path: Path


def read_amibr(root: str | os.PathLike[str]) -> list[Figure]:
    """Read ``AMI-BR.csv``; figures whose crop is missing are left out with an :class:`AnnotationWarning`.

    Raises:
        AnnotationError: ``root`` does not hold the data set, or a row of the csv makes no sense.
    """
    root = Path(root)
    csv_path = root / CSV_NAME
    if not csv_path.is_file():
        found = ', '.join(sorted(path.name for path in root.iterdir())[:8]) if root.is_dir() else 'no such folder'
        raise AnnotationError(
            f'{root}: expected the AMi-Br folder with {CSV_NAME} and patches/normal, patches/atypical, '
            f'found {found or "an empty folder"}'
        )
    with csv_path.open(newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise AnnotationError(
                f'{csv_path}: lacks the column(s) {", ".join(missing)}; found {", ".join(reader.fieldnames or ())}'
            )
        figures = [_parse_row(root, csv_path, number, row) for number, row in enumerate(reader, start=2)]
    _check_unique(csv_path, figures)
    return _with_crops(root, figures)


def read_crop(figure: Figure) -> np.ndarray:
    """Read a figure's crop as RGB uint8 of shape (128, 128, 3).

    Raises:
        ImageError: The file is unreadable or of another size or kind.
    """
    image = cv2.imread(str(figure.path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(f'{figure.path}: not a readable image')
    if image.shape != (CROP_PX, CROP_PX, 3) or image.dtype != np.uint8:
        raise ImageError(
            f'{figure.path}: expected an 8-bit RGB crop of {CROP_PX} x {CROP_PX} px, '
            f'found shape {image.shape}, {image.dtype}'
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def has_padding(crop: np.ndarray) -> bool:
    """Tell whether an outermost row or column is black: the crop reaches over its slide's border."""
    return any(not side.any() for side in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))


def _parse_row(root: Path, csv_path: Path, line: int, row: dict[str, str]) -> Figure:
    atypical = row['majority_atypical']
    if atypical not in ('True', 'False'):
        raise AnnotationError(f'{csv_path}: line {line}: majority_atypical must be True or False, found {atypical!r}')
    try:
        x, y, _ = int(row['x']), int(row['y']), int(Path(row['slide']).stem)
    except ValueError as error:
        raise AnnotationError(
            f'{csv_path}: line {line}: expected whole numbers in x and y and a slide such as 002.tiff, '
            f'found x={row["x"]!r}, y={row["y"]!r}, slide={row["slide"]!r}'
        ) from error
    folder = 'atypical' if atypical == 'True' else 'normal'
    path = root / 'patches' / folder / f'{row["dataset"]}_{row["uid"]}.png'
    return Figure(row['slide'], row['uid'], x, y, atypical == 'True', path)


def _check_unique(csv_path: Path, figures: Sequence[Figure]) -> None:
    seen: set[str] = set()
    for figure in figures:
        if figure.uid in seen:
            raise AnnotationError(f'{csv_path}: the uid {figure.uid} stands twice')
        seen.add(figure.uid)


def _with_crops(root: Path, figures: Sequence[Figure]) -> list[Figure]:
    missing = [figure for figure in figures if not figure.path.is_file()]
    if not figures:
        raise AnnotationError(f'{root / CSV_NAME}: holds no figure')
    if len(missing) == len(figures):
        raise AnnotationError(
            f'{root}: none of the {len(figures)} crops of {CSV_NAME} is in patches/normal or patches/atypical'
        )
    if missing:
        listed = ', '.join(f'{figure.path.parent.name}/{figure.path.name}' for figure in missing[:5])
        more = f' and {len(missing) - 5} more' if len(missing) > 5 else ''
        warnings.warn(
            f'{root}: {len(missing)} of {len(figures)} crops are missing in patches/ and are left out: {listed}{more}',
            AnnotationWarning,
            stacklevel=3,
        )
    return [figure for figure in figures if figure.path.is_file()]
