"""Reads ``MIDOG.json`` (MIDOG 2021) and ``MIDOG++.json``: COCO files whose boxes are ``[x1, y1, x2, y2]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.converters.base import Converter
from mitouts.errors import AnnotationError
from mitouts.formats.class_names import known_category
from mitouts.formats.coco import BOX_PX, MITOTIC_FIGURE, read_json
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet, check_coordinate, check_file_name, is_id
from mitouts.formats.splits import Partition, numbered
from mitouts.registry import CONVERTERS

# Um/px as Aubreville et al. 2023 (Med. Image Anal. 84 and Sci. Data 10) publish them. The sizes of the images, regions
# of 2 mm2, agree: 0.226, 0.229, 0.253 and 0.248.
SCANNER_MPP = {'Hamamatsu XR': 0.23, 'Hamamatsu S360': 0.23, 'Aperio CS2': 0.25, '3D Histech': 0.25}
BREAST_SCANNERS = ('Hamamatsu XR', 'Hamamatsu S360', 'Aperio CS2', 'Leica GT450')
# As in datasets_xvalidation.csv of MIDOG++.
TUMOR_SCANNERS = {
    'canine lung cancer': '3D Histech',
    'canine lymphosarcoma': '3D Histech',
    'canine lymphoma': '3D Histech',
    'canine soft tissue sarcoma': '3D Histech',
    'canine cutaneous mast cell tumor': 'Aperio CS2',
    'human neuroendocrine tumor': 'Hamamatsu XR',
    'human melanoma': 'Hamamatsu XR',
}
# Scanned with the Leica GT450; nobody looked for figures in them.
UNLABELLED = range(151, 201)
MIDOG21_IDS = range(1, 201)
_MIDOGPP_TEST = (
    6, 7, 14, 15, 18, 26, 29, 31, 32, 35, 50, 52, 57, 58, 59, 64, 66, 74, 88, 93, 95, 100, 102, 104, 107, 109, 115, 116,
    123, 124, 128, 147, 150, 203, 212, 218, 220, 230, 232, 234, 236, 239, 241, 249, 251, 252, 253, 256, 257, 268, 269,
    276, 291, 292, 295, 305, 310, 311, 315, 329, 336, 338, 339, 344, 345, 346, 353, 354, 366, 368, 370, 373, 375, 383,
    386, 389, 390, 398, 413, 414, 419, 422, 425, 426, 427, 439, 442, 456, 458, 463, 472, 476, 477, 481, 484, 485, 487,
    491, 497, 504, 510, 512, 528, 531, 533, 534, 537, 538, 539, 541, 552,
)  # fmt: skip
# Every seventh of the training images, by number; the published division has no validation part.
_MIDOGPP_VAL = tuple(
    number for number in range(1, 554) if number % 7 == 0 and number not in _MIDOGPP_TEST and not 151 <= number <= 200
)

PAPER = Partition(
    numbered((*range(41, 46), *range(91, 96), *range(141, 146)), 3),
    numbered((*range(46, 51), *range(96, 101), *range(146, 151)), 3),
    'UTS paper',
)
PUBLISHED = Partition(
    numbered(_MIDOGPP_VAL, 3),
    numbered(_MIDOGPP_TEST, 3),
    'the data set (test); every seventh of the other images validates',
)


@CONVERTERS.register_module('midog')
class Midog(Converter):
    """MIDOG 2021 and MIDOG++: MIDOG.json or MIDOG++.json; which of them it is is found out.

        mitouts convert midog MIDOG.json --image-root images --out data/midog21.json

        DIR/001.tiff ... DIR/553.tiff

    Boxes [x1, y1, x2, y2] become points, unlabelled images are left out, and tumour types, votes and ids are kept.
    MIDOG 2021 is split as in the UTS paper, MIDOG++ as published (its datasets_xvalidation.csv, which has no validation
    part, can be given to --split). Another file of the same make is read without scanners and resolutions.
    """

    src = 'MIDOG.json or MIDOG++.json'
    partitions = {'midog21': {'paper': PAPER}, 'midogpp': {'published': PUBLISHED}}

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        document = read_json(src)
        if not isinstance(document, dict):
            raise AnnotationError(f'{src}: expected a JSON object, found a {type(document).__name__}')
        images = _index(src, document, 'images', ('file_name', 'width', 'height'))
        entries = _index(src, document, 'annotations', ('bbox', 'category_id', 'image_id'))
        categories = _categories(src, _index(src, document, 'categories', ('name',)))
        for annotation_id, entry in entries.items():
            if not is_id(entry['image_id']) or entry['image_id'] not in images:
                raise AnnotationError(
                    f'{src}: annotation {annotation_id} belongs to image {entry["image_id"]!r}, which the file lacks'
                )
        edition = _edition(document, images, entries)
        notes = [f'the file is {edition.name}']
        if not edition.is_known:
            notes.append('scanners and resolutions are those of neither MIDOG 2021 nor MIDOG++ and are left out')
        left_out = {image_id for image_id in images if edition.is_known and image_id in UNLABELLED}
        kept = {image_id: _image(src, image_id, entry, edition) for image_id, entry in images.items()}
        kept = {image_id: image for image_id, image in kept.items() if image_id not in left_out}
        if left_out:
            notes.append(
                f'left out {len(left_out)} unlabelled images ({min(left_out)} to {max(left_out)}, Leica GT450): that '
                'they have no annotation says nothing'
            )
        notes += _resolutions(kept)
        is_xyxy = _is_xyxy(src, entries)
        if not is_xyxy:
            notes.append('boxes are [x, y, width, height], not the published [x1, y1, x2, y2]; they are read so')
        figures = [
            _figure(src, annotation_id, entry, is_xyxy, categories, kept[entry['image_id']].file_name)
            for annotation_id, entry in entries.items()
        ]
        notes += _negatives(kept, figures, edition)
        return SourceSet(edition.name, edition.dataset, list(kept.values()), figures, notes)


@dataclass(frozen=True)
class _Edition:
    """One of the published files, or another file of the same kind."""

    name: str
    dataset: str
    is_known: bool


def _index(path: Path, document: Mapping[str, Any], key: str, required: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return the entries of a list by their id."""
    entries = document.get(key)
    if not isinstance(entries, list):
        raise AnnotationError(
            f'{path}: expected a list {key!r}, as MIDOG.json has it; found the keys '
            f'{", ".join(sorted(map(str, document))) or "none"}'
        )
    by_id: dict[int, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        where = f'{path}: {key}[{position}]'
        if not isinstance(entry, dict):
            raise AnnotationError(f'{where}: expected an object, found {str(entry)[:60]!r}')
        missing = [name for name in ('id', *required) if name not in entry]
        if missing:
            raise AnnotationError(f'{where}: lacks {", ".join(missing)}')
        if not is_id(entry['id']):
            raise AnnotationError(f'{where}: expected a whole number as id, found {entry["id"]!r}')
        if entry['id'] in by_id:
            raise AnnotationError(f'{where}: the id {entry["id"]} occurs twice')
        by_id[entry['id']] = entry
    return by_id


def _categories(path: Path, entries: Mapping[int, Mapping[str, Any]]) -> dict[int, int]:
    known = {}
    for number, entry in entries.items():
        category_id = known_category(str(entry['name']))
        if category_id is None:
            raise AnnotationError(
                f'{path}: expected the categories "mitotic figure" and "not mitotic figure", found category {number} '
                f'{str(entry["name"])[:60]!r}'
            )
        known[number] = category_id
    return known


def _edition(
    document: Mapping[str, Any], images: Mapping[int, Mapping[str, Any]], entries: Mapping[int, Mapping[str, Any]]
) -> _Edition:
    info = document.get('info')
    description = str(info.get('description', '')) if isinstance(info, dict) else ''
    has_labels_there = any(entry['image_id'] in UNLABELLED for entry in entries.values())
    has_tumors = any('tumor_type' in image for image in images.values())
    # The training set of MIDOG 2022 numbers other images from 151 on, and has labels there.
    if not has_labels_there and ('MIDOG++' in description or (has_tumors and '2022' not in description)):
        return _Edition('MIDOG++', 'midogpp', True)
    if not has_labels_there and not has_tumors and all(image_id in MIDOG21_IDS for image_id in images):
        return _Edition('MIDOG 2021', 'midog21', True)
    return _Edition('a MIDOG file that is neither MIDOG 2021 nor MIDOG++', 'midog', False)


def _image(path: Path, image_id: int, entry: Mapping[str, Any], edition: _Edition) -> SourceImage:
    where = f'{path}: image {image_id}'
    name = check_file_name(entry['file_name'], where)
    for key in ('width', 'height'):
        if check_coordinate(entry[key], where) < 1 or not is_id(entry[key]):
            raise AnnotationError(f'{where}: expected a {key} in pixels, found {entry[key]!r}')
    tumor = entry.get('tumor_type')
    if tumor is not None and not isinstance(tumor, str):
        raise AnnotationError(f'{where}: expected text as tumor_type, found {tumor!r}')
    scanner = (scanner_of(image_id) or TUMOR_SCANNERS.get(tumor or '')) if edition.is_known else None
    extra = {key: value for key, value in (('scanner', scanner), ('tumor_type', tumor)) if value is not None}
    mpp = None if scanner is None else SCANNER_MPP.get(scanner)
    return SourceImage(name, PurePosixPath(name).stem, entry['width'], entry['height'], mpp, image_id, extra)


def scanner_of(number: int) -> str | None:
    """Return the scanner of an image of MIDOG 2021 by its number; None if there is no such image."""
    return BREAST_SCANNERS[(number - 1) // 50] if number in MIDOG21_IDS else None


def _is_xyxy(path: Path, entries: Mapping[int, Mapping[str, Any]]) -> bool:
    """Tell whether boxes are ``[x1, y1, x2, y2]`` rather than ``[x, y, width, height]``; MIDOG's are all 50 x 50 px."""
    corners: str | None = None
    sizes: str | None = None
    for annotation_id, entry in entries.items():
        bbox = entry['bbox']
        where = f'{path}: annotation {annotation_id}'
        if not isinstance(bbox, list) or len(bbox) != 4:
            raise AnnotationError(f'{where}: expected a bbox of four numbers, found {str(bbox)[:60]!r}')
        x1, y1, x2, y2 = (check_coordinate(value, where) for value in bbox)
        if corners is None and not _is_box(x2 - x1, y2 - y1):
            corners = f'annotation {annotation_id} has {bbox}'
        if sizes is None and not _is_box(x2, y2):
            sizes = f'annotation {annotation_id} has {bbox}'
        if corners is not None and sizes is not None:
            raise AnnotationError(
                f'{path}: expected all boxes to be {BOX_PX} x {BOX_PX} px, either as [x1, y1, x2, y2] (but {corners}) '
                f'or as [x, y, width, height] (but {sizes}); take the published file'
            )
    return corners is None


def _is_box(width: float, height: float) -> bool:
    return abs(width - BOX_PX) < 1e-3 and abs(height - BOX_PX) < 1e-3


def _figure(
    path: Path,
    annotation_id: int,
    entry: Mapping[str, Any],
    is_xyxy: bool,
    categories: Mapping[int, int],
    file_name: str,
) -> SourceFigure:
    where = f'{path}: annotation {annotation_id}'
    category_id = _category(entry['category_id'], categories, where)
    x, y, right, bottom = entry['bbox']
    center = ((x + right) / 2, (y + bottom) / 2) if is_xyxy else (x + right / 2, y + bottom / 2)
    # The csv of AMi-Br calls the figures of MIDOG 2021 by the same numbers.
    extra: dict[str, Any] = {'source_uid': str(annotation_id)}
    votes = entry.get('labels')
    if votes is not None:
        if not isinstance(votes, list):
            raise AnnotationError(f'{where}: expected a list of votes in labels, found {str(votes)[:60]!r}')
        extra['votes'] = [_category(vote, categories, where) for vote in votes]
    return SourceFigure(file_name, *center, category_id, extra)


def _category(number: Any, categories: Mapping[int, int], where: str) -> int:
    if not is_id(number) or number not in categories:
        raise AnnotationError(f'{where}: has the unknown category {number!r}; known are {sorted(categories)}')
    return categories[number]


def _resolutions(images: Mapping[int, SourceImage]) -> list[str]:
    mpp_of = {image.extra.get('scanner'): image.mpp for image in images.values() if image.mpp is not None}
    listed = ', '.join(f'{scanner} {mpp:g}' for scanner, mpp in mpp_of.items())
    return [f'um/px as published for the scanners, where no image says another: {listed}'] if mpp_of else []


def _negatives(images: Mapping[int, SourceImage], figures: Sequence[SourceFigure], edition: _Edition) -> list[str]:
    notes = []
    positive = {figure.file_name for figure in figures if figure.category_id == MITOTIC_FIGURE}
    annotated = {figure.file_name for figure in figures}
    negative = [image.file_name for image in images.values() if image.file_name not in positive]
    bare = [name for name in negative if name not in annotated]
    if negative:
        notes.append(f'{len(negative)} labelled images hold no mitotic figure and stay as negatives')
    if bare and not edition.is_known:
        notes.append(
            f'{len(bare)} images have no annotation at all, the first is {bare[0]}: if they are unlabelled and not '
            'empty, leave them out with a split file that says "ignore"'
        )
    return notes
