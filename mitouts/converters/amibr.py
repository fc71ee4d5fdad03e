"""Reads AMi-Br as its public repository lays it out: 128 px crops centred on mitotic figures.

``AMI-BR.csv`` has one figure a row, of MIDOG 2021 or of TUPAC16; its crop is
``patches/{normal,atypical}/<dataset>_<uid>.png``.
"""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np

from mitouts.converters.base import Converter
from mitouts.converters.midog import PAPER as MIDOG_PAPER
from mitouts.converters.midog import SCANNER_MPP, scanner_of
from mitouts.converters.tupac16 import PAPER as TUPAC_PAPER
from mitouts.errors import AnnotationError, AnnotationWarning, ImageError
from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet, check_coordinate, check_file_name
from mitouts.formats.splits import Partition
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument
from mitouts.utils.text_files import read_text

CSV_NAME = 'AMI-BR.csv'
CROP_PX = 128
CROP_MPP = 0.25
# A crop spans the slide's pixels x - 64 .. x + 63, as the black rows and columns of crops at slide borders show. The
# csv counts from the slide's corner and not from a pixel's centre: the chromatin of all crops averages to 63.5, not to
# 64. So the figure is in the crop's middle, and stays there when the crop is turned.
CROP_CENTER_PX = (CROP_PX - 1) / 2
MIDOG = 'MIDOG21'
TUPAC = 'TUPAC16'
COLUMNS = ('slide', 'dataset', 'uid', 'x', 'y', 'majority_atypical')


@CONVERTERS.register_module('amibr')
@dataclass
class AMiBr(Converter):
    """AMi-Br: labelled crops, typical against atypical mitotic figures.

        mitouts convert amibr AMi-Br --out data/amibr.json

    SRC is a clone of the data set's repository; the crops stay where they are:

        SRC/AMI-BR.csv
        SRC/patches/normal/MIDOG21_6.png
        SRC/patches/atypical/MIDOG21_7.png

    Each crop has a label (1: atypical) and one figure in its middle, with the experts' phases and votes. (Fields
    for detection are made of the same crops by another command.)
    """

    src = 'folder with AMI-BR.csv and patches/'
    partitions = {
        'amibr': {
            # Its cases are those of both sources, which number them with two and with three digits.
            'paper': Partition(
                MIDOG_PAPER.val | TUPAC_PAPER.val,
                MIDOG_PAPER.test | TUPAC_PAPER.test,
                'UTS paper: as the slides of MIDOG21 and TUPAC16',
            )
        }
    }

    label: Annotated[
        Literal['atypical', 'mitosis'],
        Argument('image label: atypical (1) against typical (0) figures, or mitosis (1 for all) (default: atypical)'),
    ] = 'atypical'

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        figures = read_figures(src)
        images = []
        marks = []
        for figure in figures:
            name = figure.path.relative_to(src).as_posix()
            scanner = scanner_of(int(figure.case_id)) if figure.dataset == MIDOG else None
            extra = {'label': int(self.label == 'mitosis' or figure.atypical), 'source': figure.dataset}
            crop_mpp = CROP_MPP
            if scanner:
                # Crops are cut at their slide's own resolution.
                extra['scanner'] = scanner
                crop_mpp = SCANNER_MPP.get(scanner, CROP_MPP)
            images.append(
                SourceImage(
                    name, figure.case_id, CROP_PX, CROP_PX, crop_mpp, extra=extra, size_from='crops of AMi-Br have'
                )
            )
            marks.append(SourceFigure(name, CROP_CENTER_PX, CROP_CENTER_PX, MITOTIC_FIGURE, _figure_extra(figure)))
        return SourceSet('AMi-Br', 'amibr', images, marks, _remarks(figures, self.label))

    def images_of(self, src: Path) -> Path:
        return src


@dataclass(frozen=True)
class Figure:
    """One mitotic figure.

    Attributes:
        uid: Its id, unique in its data set; that of the annotation in MIDOG.json.
        x: Column on the slide in pixels.
        y: Row on the slide in pixels.
        atypical: Whether the majority of three experts calls it atypical.
        dataset: The data set that its slide is from.
        votes: Whether each of the experts calls it atypical.
        phases: Phase that each of two experts names, such as ``NMF metaphase``.
    """

    slide: str
    uid: str
    x: int
    y: int
    atypical: bool
    path: Path
    dataset: str = MIDOG
    votes: tuple[bool, ...] = ()
    phases: tuple[str, ...] = ()

    @property
    def case_id(self) -> str:
        """The slide: ``002`` of MIDOG 2021, ``02`` of TUPAC16."""
        number = re.match(r'\d{1,3}(?!\d)', self.slide, re.ASCII)
        if self.dataset == TUPAC and number:
            return f'{int(number[0]):02d}'
        stem = self.slide.rsplit('.', 1)[0]
        return stem if self.dataset == MIDOG else f'{self.dataset}_{stem}'


def read_amibr(root: str | os.PathLike[str]) -> list[Figure]:
    """Read the figures of MIDOG 2021; those whose crop is missing are left out with an :class:`AnnotationWarning`.

    Raises:
        AnnotationError: ``root`` does not hold the data set, or a row of the csv makes no sense.
    """
    figures = [figure for figure in read_figures(root) if figure.dataset == MIDOG]
    if not figures:
        raise AnnotationError(f'{Path(root) / CSV_NAME}: holds no figure of {MIDOG}')
    return _with_crops(Path(root), figures)


def read_figures(root: str | os.PathLike[str]) -> list[Figure]:
    """Read ``AMI-BR.csv`` without looking for the crops.

    Raises:
        AnnotationError: ``root`` does not hold the data set, or a row of the csv makes no sense.
    """
    root = Path(root)
    csv_path = root / CSV_NAME
    if not csv_path.is_file():
        listing = ', '.join(sorted(path.name for path in root.iterdir())[:8]) if root.is_dir() else 'no such folder'
        raise AnnotationError(
            f'{root}: expected the AMi-Br folder with {CSV_NAME} and patches/normal, patches/atypical, '
            f'found {listing or "an empty folder"}'
        )
    try:
        reader = csv.DictReader(io.StringIO(read_text(csv_path)))
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise AnnotationError(
                f'{csv_path}: lacks columns: {", ".join(missing)}; found {", ".join(reader.fieldnames or ())}'
            )
        figures = [_parse_row(root, csv_path, number, row) for number, row in enumerate(reader, start=2)]
    except csv.Error as error:
        raise AnnotationError(f'{csv_path}: not a table: {error}') from error
    if not figures:
        raise AnnotationError(f'{csv_path}: holds no figure')
    _check_unique(csv_path, figures)
    return figures


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
    """Tell whether an outermost row or column is black, which means that the crop reaches over its slide's border."""
    return any(not side.any() for side in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))


def _parse_row(root: Path, csv_path: Path, line: int, row: dict[str, str]) -> Figure:
    atypical = row['majority_atypical']
    if atypical not in ('True', 'False'):
        raise AnnotationError(f'{csv_path}: line {line}: majority_atypical must be True or False, found {atypical!r}')
    where = f'{csv_path}: line {line}'
    dataset = row['dataset']
    slide = check_file_name(row['slide'], where)
    try:
        x, y, _ = int(row['x']), int(row['y']), int(Path(slide).stem) if dataset == MIDOG else 0
    except ValueError as error:
        raise AnnotationError(
            f'{where}: expected whole numbers in x and y and a slide such as 002.tiff, '
            f'found x={row["x"]!r:.60}, y={row["y"]!r:.60}, slide={slide!r:.60}'
        ) from error
    for value in (x, y):
        check_coordinate(value, where)
    folder = 'atypical' if atypical == 'True' else 'normal'
    path = root / check_file_name(f'patches/{folder}/{dataset}_{row["uid"]}.png', where)
    votes = [row.get(f'expert{expert}_atypical') for expert in (1, 2, 3)]
    if any(vote not in ('True', 'False', None) for vote in votes):
        raise AnnotationError(f'{where}: expected True or False from each expert, found {votes}')
    phases = [row.get(f'expert{expert}_label') for expert in (1, 2)]
    return Figure(
        slide,
        row['uid'],
        x,
        y,
        atypical == 'True',
        path,
        dataset,
        tuple(vote == 'True' for vote in votes if vote is not None),
        tuple(phase for phase in phases if phase is not None),
    )


def _figure_extra(figure: Figure) -> dict[str, Any]:
    extra: dict[str, Any] = {
        'subtype': 'atypical' if figure.atypical else 'typical',
        'source_uid': figure.uid,
        'slide': figure.slide,
        'slide_point': [figure.x, figure.y],
    }
    if figure.phases:
        names = {phase.removeprefix('NMF ').removeprefix('AMF ') for phase in figure.phases}
        extra['phase'] = names.pop() if len(names) == 1 else None
        extra['phases'] = list(figure.phases)
    if figure.votes:
        extra['votes'] = [int(vote) for vote in figure.votes]
    return extra


def _remarks(figures: Sequence[Figure], label: str) -> list[str]:
    atypical = sum(figure.atypical for figure in figures)
    counted = Counter(figure.dataset for figure in figures)
    notes = [
        ', '.join(f'{count} figures of {dataset}' for dataset, count in counted.items()),
        f'{atypical} of {len(figures)} figures are atypical (most experts say so)',
        'the image label is 1 for atypical figures' if label == 'atypical' else 'the image label is 1 for all crops',
    ]
    against = [
        figure for figure in figures if figure.votes and (2 * sum(figure.votes) > len(figure.votes)) != figure.atypical
    ]
    if against:
        notes.append(
            f'the majority column contradicts the votes of {len(against)} figures, the first is uid {against[0].uid}; '
            'the column decides'
        )
    return notes


def _check_unique(csv_path: Path, figures: Sequence[Figure]) -> None:
    seen: set[tuple[str, str]] = set()
    for figure in figures:
        if (figure.dataset, figure.uid) in seen:
            raise AnnotationError(f'{csv_path}: the uid {figure.uid} occurs twice')
        seen.add((figure.dataset, figure.uid))


def _with_crops(root: Path, figures: Sequence[Figure]) -> list[Figure]:
    missing = [figure for figure in figures if not figure.path.is_file()]
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
