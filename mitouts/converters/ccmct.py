"""Reads CCMCT, whole slides of canine cutaneous mast cell tumours: SlideRunner databases and COCO files beside them.

Its classes are 2 mitotic figure, 7 look-alike, 1 granulocyte and 3 tumour cell; the last two are left out. The COCO
files have a box ``[x - 25, y - 25, x + 25, y + 25]`` for every pair of coordinates in the database, so they name an
area's annotation twice.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.converters.base import Converter
from mitouts.converters.sliderunner import CCMCT_CLASSES, DATASETS, from_database, is_ccmct
from mitouts.converters.sliderunner_figures import middle_of
from mitouts.converters.sliderunner_tables import MAGIC, read_tables
from mitouts.errors import AnnotationError
from mitouts.formats.coco import MITOTIC_FIGURE, read_json
from mitouts.formats.source import (
    SourceFigure,
    SourceImage,
    SourceSet,
    check_coordinate,
    check_file_name,
    is_id,
    listed,
)
from mitouts.formats.splits import Partition
from mitouts.registry import CONVERTERS

VARIANTS = ('MEL', 'HEAEL', 'CODAEL', 'ODAEL')
BOX_PX = 50
_, MPP, SCANNER = DATASETS['ccmct']
_TEST = (
    'be10fa37ad6e88e1f406', 'f3741e764d39ccc4d114', 'c86cd41f96331adf3856', '552c51bfb88fd3e65ffe',
    '8c9f9618fcaca747b7c3', 'c91a842257ed2add5134', 'dd4246ab756f6479c841', 'f26e9fcef24609b988be',
    '96274538c93980aad8d6', 'add0a9bbc53d1d9bac4c', '1018715d369dd0df2fc0',
)  # fmt: skip


@CONVERTERS.register_module('ccmct')
class Ccmct(Converter):
    """CCMCT: 32 whole slides of canine cutaneous mast cell tumours.

        mitouts convert ccmct data/CCMCT/databases/MITOS_WSI_CCMCT_MEL.sqlite \\
            --image-root data/CCMCT/WSI --out data/CCMCT/mel.json

        CCMCT/
          databases/MITOS_WSI_CCMCT_{MEL,HEAEL,ODAEL}.{sqlite,json}
          WSI/*.svs

    SRC is one of the variants: MEL (labelled by experts), HEAEL (hard examples added) or ODAEL (what a detector found
    added). Mitotic figures and look-alikes are kept, granulocytes and tumour cells left out. By default all slides are
    an external test; --split published trains on 21 of them and tests on 11.
    """

    src = 'a variant, as .sqlite or .json'
    partitions = {
        'ccmct': {
            'paper': Partition(frozenset(), frozenset(), 'UTS paper: all slides are an external test', rest='test'),
            'published': Partition(frozenset(), frozenset(_TEST), 'the data set: 21 slides train, 11 test'),
        }
    }

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        if not src.is_file():
            raise AnnotationError(
                f'{src}: no such file; expected MITOS_WSI_CCMCT_MEL.sqlite or .json, or another variant'
            )
        with src.open('rb') as file:
            start = file.read(len(MAGIC))
        is_json = start.lstrip()[:1] in (b'{', b'[') or src.suffix.lower() == '.json'
        source = _read_json(src) if is_json else _read_database(src)
        if not any(figure.category_id == MITOTIC_FIGURE for figure in source.figures):
            source.notes.append(
                'holds no mitotic figure at all: is it one of the variants MEL, HEAEL, ODAEL and CODAEL?'
            )
        variant = next((name for name in VARIANTS if name in src.stem.upper()), None)
        return dataclasses.replace(source, name=f'CCMCT {variant}' if variant else 'CCMCT')


def _read_database(path: Path) -> SourceSet:
    database = read_tables(path)
    _check_classes(path, database.classes)
    return from_database(database, 'ccmct')


def _read_json(path: Path) -> SourceSet:
    document = read_json(path)
    if not isinstance(document, dict):
        raise AnnotationError(f'{path}: expected a JSON object, found a {type(document).__name__}')
    images = _images(path, _entries(path, document, 'images'))
    names = {
        _whole(entry, 'id', f'{path}: categories[{position}]'): str(entry.get('name'))
        for position, entry in enumerate(_entries(path, document, 'categories'))
    }
    _check_classes(path, names)
    corners: dict[int, list[tuple[float, float]]] = {}
    first: dict[int, Mapping[str, Any]] = {}
    left_out: Counter[str] = Counter()
    for position, entry in enumerate(_entries(path, document, 'annotations')):
        where = f'{path}: annotations[{position}]'
        uid = _whole(entry, 'id', where)
        before = first.setdefault(uid, entry)
        if (before.get('image_id'), before.get('category_id')) != (entry.get('image_id'), entry.get('category_id')):
            raise AnnotationError(f'{where}: the id {uid} occurs twice, with another image or class')
        if not is_id(entry.get('image_id')) or entry['image_id'] not in images:
            raise AnnotationError(f'{where}: belongs to image {entry.get("image_id")!r:.40}, which the file lacks')
        if not is_id(entry.get('category_id')) or entry['category_id'] not in CCMCT_CLASSES:
            left_out[_class_name(names, entry.get('category_id'))] += 1
            continue
        corners.setdefault(uid, []).append(_centre(entry, where))
    figures = [
        SourceFigure(
            images[first[uid]['image_id']].file_name,
            *middle_of(points),
            CCMCT_CLASSES[first[uid]['category_id']],
            {'source_uid': str(uid)},
        )
        for uid, points in corners.items()
    ]
    notes = [
        f'{"mitotic figures" if category == MITOTIC_FIGURE else "look-alikes"}: class {uid} {names[uid]!r} '
        f'({sum(figure.category_id == category for figure in figures):,})'
        for uid, category in CCMCT_CLASSES.items()
        if uid in names
    ]
    if left_out:
        counted = ', '.join(f'{name} ({count:,})' for name, count in sorted(left_out.items()))
        notes.append(f'left out {sum(left_out.values()):,} annotations of other classes: {counted}')
    areas = [uid for uid, points in corners.items() if len(points) > 1]
    if areas:
        notes.append(
            f'{len(areas)} annotations have several coordinates and are taken at their middle: {listed(areas)}'
        )
    return SourceSet('CCMCT', 'ccmct', list(images.values()), figures, notes)


def _entries(path: Path, document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AnnotationError(
            f'{path}: expected a list of objects as {key!r}; found the keys '
            f'{listed(sorted(map(str, document)), 10) or "none"}'
        )
    return entries


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    if not is_id(entry.get(key)):
        raise AnnotationError(f'{where}: expected a whole number as {key}, found {entry.get(key)!r:.40}')
    return entry[key]


def _images(path: Path, entries: list[Mapping[str, Any]]) -> dict[int, SourceImage]:
    images: dict[int, SourceImage] = {}
    for position, entry in enumerate(entries):
        where = f'{path}: images[{position}]'
        uid = _whole(entry, 'id', where)
        width, height = _whole(entry, 'width', where), _whole(entry, 'height', where)
        if uid in images or width < 1 or height < 1:
            raise AnnotationError(f'{where}: expected a new id and a size, found {uid}, {width} x {height} px')
        name = check_file_name(entry.get('file_name'), where)
        images[uid] = SourceImage(
            name, PurePosixPath(name).stem, width, height, mpp=MPP, image_id=uid, extra={'scanner': SCANNER}
        )
    return images


def _check_classes(path: Path, names: Mapping[int, str]) -> None:
    if not is_ccmct(names):
        listing = ', '.join(f'{uid} {name!r}' for uid, name in sorted(names.items())) or 'none'
        raise AnnotationError(
            f'{path}: expected the classes 2 mitotic figure and 7 look-alike, found {listing}; mitouts convert '
            'sliderunner reads other databases'
        )


def _class_name(names: Mapping[int, str], uid: Any) -> str:
    return repr(names[uid]) if is_id(uid) and uid in names else f'without a name ({uid!r:.40})'


def _centre(entry: Mapping[str, Any], where: str) -> tuple[float, float]:
    box = entry.get('bbox')
    if not isinstance(box, list) or len(box) != 4:
        raise AnnotationError(f'{where}: expected bbox as [x1, y1, x2, y2], found {box!r:.60}')
    left, top, right, bottom = (check_coordinate(value, f'{where}: bbox') for value in box)
    if (right - left, bottom - top) != (BOX_PX, BOX_PX):
        raise AnnotationError(
            f'{where}: expected a box [x1, y1, x2, y2] of {BOX_PX} x {BOX_PX} px, found {box}: is it not one of the '
            'published files?'
        )
    return (left + right) / 2, (top + bottom) / 2
