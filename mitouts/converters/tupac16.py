"""Reads TUPAC16 (73 cases), with its original mitosis labels or the alternative ones of Bertram et al. 2020.

Both have one csv a region, ``case/region.csv``, whose rows are ``row,col`` without a header. The original release
counts pixels from 1, the alternative labels from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from mitouts.converters.base import Converter
from mitouts.errors import AnnotationError
from mitouts.formats.archive import read_files, read_rows, walk
from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet
from mitouts.formats.splits import Partition, numbered
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument

MPP = 0.25
NUM_CASES = 73
# Cases 1 to 23 come in several tiles, each of the others as one image of 2 mm2. All are square.
TILED_CASES = 23
TILE_PX = 2000
IMAGE_PX = 5657
# Figures of a whole release -> (number of its first pixel, its name).
RELEASES = {1552: (1, 'original release'), 1999: (0, 'alternative labels')}
_NUMBER = re.compile(r'\d{1,3}', re.ASCII)

Key = tuple[int, int]

PAPER = Partition(numbered((30, 37, 44, 51, 58, 65, 72), 2), numbered((31, 38, 45, 52, 59, 66, 73), 2), 'UTS paper')


@CONVERTERS.register_module('tupac16')
@dataclass
class Tupac16(Converter):
    """TUPAC16: the mitosis labels, original or alternative, csv files of regions.

        mitouts convert tupac16 mitoses_ground_truth --image-root images --out data/tupac16.json

    SRC holds ``case/region.csv`` with rows ``row,col``, also deeper inside; a .tar.gz or .zip is read as it is:

        SRC/01/01.csv                            or SRC/TUPAC_AL/mitoses_ground_truth/01/01.csv

        DIR/01/01.tif                            or, as downloaded,
        DIR/mitoses_image_data_part_1/01/01.tif  (parts 1 to 3)

    A region without a csv is one without figures, so give --image-root: only then are such regions known.
    """

    src = 'folder, .tar.gz or .zip of the csv files'
    partitions = {'tupac16': {'paper': PAPER}}

    origin: Annotated[
        Literal[0, 1] | None,
        Argument(
            'number of the first row and column: 1 in the original release, 0 in the alternative labels '
            '(default: found out)'
        ),
    ] = None

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        notes: list[str] = []
        regions = _read_labels(src, notes)
        figures = sum(len(region.rows) for region in regions.values())
        if image_root is not None:
            regions = _add_images(regions, image_root, figures in RELEASES, notes)
        first = _find_origin(regions.values(), figures, src, self.origin, notes)
        empty = sum(not region.rows for region in regions.values())
        notes.append(f'{empty} of {len(regions)} regions hold no figure')
        if image_root is None:
            notes.append('only regions with a csv are known; with --image-root those without one come in as negative')
        notes.append(f'{MPP:g} um/px, as published, where neither an image nor --mpp says another')
        notes.append('the csv files hold mitotic figures only; the look-alikes are in the sqlite (sliderunner.py)')
        return SourceSet(
            'TUPAC16',
            'tupac16',
            [
                SourceImage(
                    region.file_name,
                    f'{case:02d}',
                    region.side_px,
                    region.side_px,
                    MPP,
                    size_from=f'a region of case {case:02d} of TUPAC16 has',
                )
                for (case, _), region in sorted(regions.items())
            ],
            [
                SourceFigure(region.file_name, col - first, row - first, MITOTIC_FIGURE)
                for _, region in sorted(regions.items())
                for _, row, col in region.rows
            ],
            notes,
        )


@dataclass(frozen=True)
class _Region:
    """A region: its file, its size, and the line, row and column of its figures as written in the csv."""

    file_name: str
    side_px: int
    where: str = ''
    rows: Sequence[tuple[int, float, float]] = ()


def _read_labels(src: Path, notes: list[str]) -> dict[Key, _Region]:
    regions: dict[Key, _Region] = {}
    others: list[str] = []
    for name, text in read_files(src, '.csv').items():
        key = _key(name)
        if key is None:
            others.append(name)
            continue
        where = f'{src}: {name}'
        if key in regions:
            raise AnnotationError(
                f'{where}: case {key[0]:02d}, region {key[1]:02d} has another csv, {regions[key].where}; give the '
                'folder of one set of labels'
            )
        rows = [(line, row, col) for line, (row, col) in read_rows(text, ('row', 'col'), where)]
        path = PurePosixPath(name)
        regions[key] = _Region(f'{path.parent.name}/{path.stem}', _side_px(key), where, rows)
    if not regions:
        listing = f'found {", ".join(others[:5])}' if others else 'found no csv'
        raise AnnotationError(f'{src}: expected case/region.csv such as 01/07.csv, {listing}')
    if others:
        notes.append(f'passed over {len(others)} csv files that are not case/region.csv, the first is {others[0]}')
    return regions


def _key(name: str) -> Key | None:
    """Return case and region for a path such as ``.../01/07.csv``, None for any other path."""
    path = PurePosixPath(name)
    if not _NUMBER.fullmatch(path.parent.name) or not _NUMBER.fullmatch(path.stem):
        return None
    case, region = int(path.parent.name), int(path.stem)
    return (case, region) if 1 <= case <= NUM_CASES else None


def _side_px(key: Key) -> int:
    return TILE_PX if key[0] <= TILED_CASES else IMAGE_PX


def _add_images(
    labels: Mapping[Key, _Region], root: Path, is_whole_release: bool, notes: list[str]
) -> dict[Key, _Region]:
    """Fill in the regions' image files, and add a region for each image without a csv."""
    files: dict[Key, str] = {}
    for name in walk(root):
        key = _key(name)
        if key is None:
            continue
        if key in files:
            raise AnnotationError(
                f'{root}: holds {files[key]} and {name}, two images of case {key[0]:02d}, region {key[1]:02d}; give '
                'the folder of the training images alone'
            )
        files[key] = name
    regions = {key: replace(region, file_name=files.get(key, region.file_name)) for key, region in labels.items()}
    # Whole cases without a csv are negative where the labels are complete; otherwise nobody knows.
    cases = {case for case, _ in labels}
    without = {key: name for key, name in files.items() if key not in labels}
    unknown = {key: name for key, name in without.items() if key[0] not in cases and not is_whole_release}
    negative = {key: name for key, name in without.items() if key not in unknown}
    regions |= {key: _Region(name, _side_px(key)) for key, name in negative.items()}
    if negative:
        notes.append(f'{len(negative)} images have no csv and are taken as regions without figures')
    if unknown:
        listed = ', '.join(f'{case:02d}' for case in sorted({case for case, _ in unknown})[:5])
        notes.append(
            f'left out {len(unknown)} images of cases that have no csv at all ({listed}, ...): the labels are not '
            f'those of a whole release ({" or ".join(f"{count:,}" for count in RELEASES)} figures)'
        )
    return regions


def _find_origin(regions: Iterable[_Region], figures: int, src: Path, wanted: int | None, notes: list[str]) -> int:
    """Determine whether coordinates start at 0 or 1, and add the reason to the notes."""
    asked = ('--origin says so' if wanted == 0 else '', '--origin says so' if wanted == 1 else '')
    evidence = _evidence(regions)
    counted = _counted(figures)
    if wanted is None and all(evidence):
        raise AnnotationError(
            f'{src}: {evidence[0]}, so coordinates start at 0; but {evidence[1]}, so they start at 1. Are files of two '
            'releases mixed? Say --origin 0 or --origin 1'
        )
    # The first kind of reason that says anything decides.
    for reasons in (asked, evidence, counted):
        if any(reasons):
            first = 0 if reasons[0] else 1
            against = ', '.join(why for why in (evidence[1 - first], counted[1 - first]) if why)
            contrary = f' (against it: {against})' if against else ''
            notes.append(f'coordinates are {first}-based: {reasons[first]}{contrary}')
            return first
    notes.append(
        'whether coordinates start at 0 or 1 cannot be told (no coordinate is 0 or the size of its region, and '
        f'{figures:,} figures is no whole release): assumed 0, as in the alternative labels; the original release '
        'needs --origin 1'
    )
    return 0


def _counted(figures: int) -> tuple[str, str]:
    """Return evidence for 0-based and for 1-based coordinates: the release that has this number of figures, if any."""
    first, name = RELEASES.get(figures, (0, ''))
    reason = f'{figures:,} figures, as many as in the {name}' if name else ''
    return ('', reason) if first else (reason, '')


def _evidence(regions: Iterable[_Region]) -> tuple[str, str]:
    """Return the first coordinate found that can only be 0-based and the first that can only be 1-based, as text."""
    reasons = ['', '']
    for region in regions:
        for line, *place in region.rows:
            if 0 in place:
                reasons[0] = reasons[0] or f'{region.where}, line {line} has a coordinate 0'
            if region.side_px in place:
                reasons[1] = reasons[1] or (
                    f'{region.where}, line {line} has a coordinate {region.side_px} in a region of {region.side_px} px'
                )
    return reasons[0], reasons[1]
