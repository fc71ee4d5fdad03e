"""Makes, reads and checks annotation files: COCO JSON with a point for every annotation.

A point is ``[x, y]`` in pixels with its origin at the centre of the top-left pixel. ``bbox`` is the 50 x 50 px box
centred on it in those same coordinates, ``[x - 25, y - 25, 50, 50]``, so ``x = bbox[0] + bbox[2] / 2`` inverts it
and no half pixel is added anywhere. ``file_name`` is relative to the folder that a data set names as its root.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.class_names import HARD_NEGATIVE, MITOTIC_FIGURE, check_category_names

# An annotation file is JSON: who reads or writes one finds these here.
from mitouts.utils.text_files import read_json as read_json
from mitouts.utils.text_files import write_json as write_json

SCHEMA_VERSION = 1
CATEGORIES = (
    {'id': MITOTIC_FIGURE, 'name': 'mitotic figure'},
    {'id': HARD_NEGATIVE, 'name': 'hard negative'},
)
BOX_PX = 50
_MAX_INTEGER = 2**63 - 1
IMAGE_FLAGS = ('size_known', 'case_known', 'is_noise')
ANNOTATION_FLAGS = ('iscrowd', 'cut', 'is_noise', 'proposed')


def make_image(
    image_id: int,
    file_name: str,
    width: int,
    height: int,
    *,
    case_id: str,
    mpp: float | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """Make an entry of ``images``.

    Args:
        file_name: Path relative to the data set's root, with forward slashes.
        case_id: The patient or slide; intervals are taken over cases, and splits must not share one.
        mpp: Micrometres per pixel, or None where unknown.
        **extra: Further keys, such as ``label``, ``scanner`` or ``split``.
    """
    image = {'id': image_id, 'file_name': file_name, 'width': width, 'height': height, 'case_id': case_id, 'mpp': mpp}
    return {**image, **extra}


def make_annotation(
    annotation_id: int,
    image_id: int,
    category_id: int,
    x: float,
    y: float,
    **extra: Any,
) -> dict[str, Any]:
    """Make an entry of ``annotations``: the point ``(x, y)`` in pixels and the box centred on it.

    Args:
        category_id: ``MITOTIC_FIGURE`` or ``HARD_NEGATIVE``.
        x: Column of the point in pixels, 0 at the centre of the leftmost pixel.
        y: Row of the point in pixels, 0 at the centre of the topmost pixel.
        **extra: Further keys, such as ``source_uid``.
    """
    annotation = {
        'id': annotation_id,
        'image_id': image_id,
        'category_id': category_id,
        'point': [x, y],
        'bbox': [x - BOX_PX / 2, y - BOX_PX / 2, BOX_PX, BOX_PX],
        'area': BOX_PX * BOX_PX,
        'iscrowd': 0,
    }
    return {**annotation, **extra}


def make_document(
    images: Iterable[Mapping[str, Any]],
    annotations: Iterable[Mapping[str, Any]],
    *,
    name: str,
    tool: str,
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **info: Any,
) -> dict[str, Any]:
    """Make a whole document, with its provenance in ``info.mitouts``.

    Args:
        images: Entries made by :func:`make_image`.
        annotations: Entries made by :func:`make_annotation`.
        arguments: The arguments that the tool was given.
        seed: The seed that everything was drawn from, if anything was.
        **info: Further keys of ``info.mitouts``, such as ``stain_reference``.
    """
    provenance = {
        'schema_version': SCHEMA_VERSION,
        'name': name,
        'tool': tool,
        'arguments': dict(arguments or {}),
        'seed': seed,
        **info,
    }
    return {
        'info': {'description': name, 'mitouts': provenance},
        'images': [dict(image) for image in images],
        'annotations': [dict(annotation) for annotation in annotations],
        'categories': [dict(category) for category in CATEGORIES],
    }


def read_coco(path: str | os.PathLike[str], *, keep_outside: bool = False) -> dict[str, Any]:
    """Read an annotation file and check all of it.

    A missing ``point`` is derived from the box's centre, a missing ``bbox`` from the point. An image without a
    ``case_id`` is a case of its own, named after its file, and ``case_known`` is False. A missing ``mpp``
    becomes None. Flags (:data:`IMAGE_FLAGS`, :data:`ANNOTATION_FLAGS`) may be written as 0, 1, true or false, also as
    text. An ``info`` that is mere text becomes its description. An annotation whose point lies outside its image is
    left out with an :class:`AnnotationWarning` (:func:`is_inside`).

    Args:
        keep_outside: Keep annotations outside their image, and do not warn of them.

    Raises:
        AnnotationError: The file is missing, is not JSON, or has invalid content, such as a category 1 with a name of
            look-alikes; the message names the file and the entry.
    """
    path = Path(path)
    document = read_json(path)
    if not isinstance(document, dict):
        raise AnnotationError(
            f'{path}: expected a JSON object with images, annotations and categories, found a {type(document).__name__}'
        )
    for key in ('images', 'annotations', 'categories'):
        if key not in document:
            hint = '; these are predictions' if is_of_predictions(document) else ''
            hint += ' (mitouts convert qupath_geojson --export takes them)' if hint else ''
            raise AnnotationError(
                f'{path}: the key {key!r} is missing; found {", ".join(sorted(document)) or "no key"}{hint}'
            )
        if not isinstance(document[key], list):
            raise AnnotationError(f'{path}: {key!r} must be a list, found a {type(document[key]).__name__}')
    if not document['images']:
        raise AnnotationError(f"{path}: holds no image ('images' is empty)")
    images = _check_images(path, document['images'])
    categories = _check_categories(path, document['categories'])
    annotations = _check_annotations(path, document['annotations'], images, categories, keep_outside)
    return {
        **document,
        'info': _check_info(path, document.get('info')),
        'images': list(images.values()),
        'annotations': annotations,
    }


def image_root(
    ann_file: str | os.PathLike[str], document: Mapping[str, Any], data_root: str | os.PathLike[str] | None = None
) -> Path:
    """Return the folder that the file names in a document are relative to.

    Args:
        document: Content of the file; a distilled file names its source's folder in ``info.mitouts.image_root``,
            relative to its own.
    """
    if data_root:
        return Path(data_root)
    return Path(ann_file).parent / document.get('info', {}).get('mitouts', {}).get('image_root', '')


def is_of_predictions(document: Any) -> bool:
    """Tell whether JSON content is that of a predictions file rather than of an annotation file."""
    images = document.get('images') if isinstance(document, dict) and 'annotations' not in document else None
    return isinstance(images, list) and any(
        isinstance(entry, dict) and {'image_id', 'points'} <= entry.keys() for entry in images
    )


def _check_info(path: Path, info: Any) -> dict[str, Any]:
    if isinstance(info, str):
        return {'description': info}
    if info is not None and not isinstance(info, dict):
        _warn(f'{path}: info must be an object, found a {type(info).__name__}; it is left out')
    checked = dict(info) if isinstance(info, dict) else {}
    ours = checked.get('mitouts')
    if 'mitouts' in checked and not isinstance(ours, dict):
        if ours is not None:
            _warn(f'{path}: info.mitouts must be an object, found a {type(ours).__name__}; it is left out')
        del checked['mitouts']
    elif ours and not isinstance(ours.get('image_root', ''), str):
        raise AnnotationError(f'{path}: info.mitouts.image_root must be text, found {ours["image_root"]!r:.60}')
    return checked


def _check_images(path: Path, entries: list[Any]) -> dict[int, dict[str, Any]]:
    images: dict[int, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        _require(path, entry, f'images[{position}]', ('id', 'file_name', 'width', 'height'))
        image_id = _integer(path, entry['id'], f'images[{position}]: id')
        if image_id in images:
            raise AnnotationError(
                f'{path}: the image id {image_id} occurs twice ({images[image_id]["file_name"]}, {entry["file_name"]})'
            )
        for key in ('width', 'height'):
            if _integer(path, entry[key], f'image {image_id}: {key}') < 1:
                raise AnnotationError(f'{path}: image {image_id}: {key} must be at least 1 px, found {entry[key]}')
        if not isinstance(entry['file_name'], str) or not entry['file_name']:
            raise AnnotationError(f'{path}: image {image_id}: file_name must be text, found {entry["file_name"]!r}')
        if 'label' in entry and (isinstance(entry['label'], bool) or entry['label'] not in (0, 1)):
            raise AnnotationError(f'{path}: image {image_id}: label must be 0 or 1, found {entry["label"]!r}')
        weight = entry.get('weight', 1.0)
        if not (isinstance(weight, (int, float)) and 0 <= weight <= 1):
            raise AnnotationError(
                f'{path}: the weight of image {image_id} must be a number from 0 to 1, found {weight!r:.40}'
            )
        mpp = entry.get('mpp')
        if mpp is not None and not _number(path, mpp, f'image {image_id}: mpp') > 0:
            raise AnnotationError(f'{path}: image {image_id}: mpp must be positive (or null if unknown), found {mpp}')
        flagged = _with_flags(path, entry, f'image {image_id}', IMAGE_FLAGS)
        images[image_id] = {**flagged, **_case_of(path, entry, image_id), 'mpp': mpp}
    without = sum(entry.get('case_id') is None for entry in entries)
    if without:
        _warn(
            f'{path}: {without} of {len(entries)} images have no case_id, so each counts as a case of its own; '
            'intervals over cases will be too narrow where one patient or slide gave several images'
        )
    return images


def _check_categories(path: Path, entries: list[Any]) -> dict[int, str]:
    categories: dict[int, str] = {}
    for position, entry in enumerate(entries):
        _require(path, entry, f'categories[{position}]', ('id', 'name'))
        category_id = _integer(path, entry['id'], f'categories[{position}]: id')
        if category_id in categories:
            raise AnnotationError(f'{path}: the category id {category_id} occurs twice')
        if not isinstance(entry['name'], str):
            raise AnnotationError(f'{path}: category {category_id}: name must be text, found {entry["name"]!r:.40}')
        categories[category_id] = entry['name']
    check_category_names(path, categories)
    return categories


def _check_annotations(
    path: Path,
    entries: list[Any],
    images: Mapping[int, Mapping[str, Any]],
    categories: Mapping[int, str],
    keep_outside: bool,
) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    seen: set[int] = set()
    for position, entry in enumerate(entries):
        _require(path, entry, f'annotations[{position}]', ('id', 'image_id', 'category_id'))
        annotation_id = _integer(path, entry['id'], f'annotations[{position}]: id')
        if annotation_id in seen:
            raise AnnotationError(f'{path}: the annotation id {annotation_id} occurs twice')
        seen.add(annotation_id)
        image = images.get(_integer(path, entry['image_id'], f'annotation {annotation_id}: image_id'))
        if image is None:
            raise AnnotationError(
                f"{path}: annotation {annotation_id} belongs to image {entry['image_id']}, which 'images' does not hold"
            )
        if _integer(path, entry['category_id'], f'annotation {annotation_id}: category_id') not in categories:
            known = ', '.join(f'{key} ({name})' for key, name in sorted(categories.items())) or 'none'
            raise AnnotationError(
                f'{path}: annotation {annotation_id} has the unknown category {entry["category_id"]}; known are {known}'
            )
        flagged = _with_flags(path, entry, f'annotation {annotation_id}', ANNOTATION_FLAGS)
        annotation = _with_point(path, flagged, annotation_id)
        if keep_outside or is_inside(annotation['point'], image):
            annotations.append(annotation)
        else:
            x, y = annotation['point']
            _warn(
                f'{path}: annotation {annotation_id} lies outside image {image["id"]} ({image["file_name"]}): point '
                f'x={x:g}, y={y:g}, image {image["width"]} x {image["height"]} px; it is left out'
            )
    return annotations


def is_inside(point: Sequence[float], image: Mapping[str, Any]) -> bool:
    """Tell whether a point lies inside an image, up to and including the outer edges of its outermost pixels."""
    return -0.5 <= point[0] <= image['width'] - 0.5 and -0.5 <= point[1] <= image['height'] - 0.5


def _with_point(path: Path, entry: Mapping[str, Any], annotation_id: int) -> dict[str, Any]:
    """Return the annotation with both its point and its box, each derived from the other where it is missing."""
    where = f'annotation {annotation_id}'
    bbox = None if entry.get('bbox') is None else _numbers(path, entry['bbox'], f'{where}: bbox', 4)
    if bbox is not None and (bbox[2] <= 0 or bbox[3] <= 0):
        raise AnnotationError(f'{path}: {where}: bbox [x, y, width, height] has no area: {bbox}')
    if entry.get('point') is not None:
        x, y = _numbers(path, entry['point'], f'{where}: point', 2)
    elif bbox is not None:
        x, y = bbox[0] + bbox[2] / 2, bbox[1] + bbox[3] / 2
    else:
        raise AnnotationError(f'{path}: {where} has neither a point nor a bbox')
    bbox = bbox or [x - BOX_PX / 2, y - BOX_PX / 2, BOX_PX, BOX_PX]
    area = bbox[2] * bbox[3] if entry.get('area') is None else _number(path, entry['area'], f'{where}: area')
    return {**entry, 'point': [x, y], 'bbox': bbox, 'area': area, 'iscrowd': int(entry.get('iscrowd', 0))}


def _with_flags(path: Path, entry: Mapping[str, Any], where: str, flags: Iterable[str]) -> dict[str, Any]:
    """Return an entry with its flags as bools, without those that are null."""
    flagged = dict(entry)
    for key in flags:
        if flagged.get(key) is not None:
            flagged[key] = read_flag(flagged[key], f'{path}: {where}: {key}')
        else:
            flagged.pop(key, None)
    return flagged


def read_flag(value: Any, where: str) -> bool:
    """Read a truth value in any of its usual spellings.

    Raises:
        AnnotationError: It is none of 0, 1, true and false, as such or as text.
    """
    plain = value.strip().casefold() if isinstance(value, str) else value
    # Of numbers 1.0 equals 1 and True, and of text nothing else is a truth value: bool('false') is true.
    if not isinstance(plain, (str, bool, int, float)) or plain not in (0, 1, '0', '1', 'false', 'true'):
        raise AnnotationError(f'{where} must be 0, 1, true or false, found {value!r:.40}')
    return plain in (1, '1', 'true')


def _case_of(path: Path, image: Mapping[str, Any], image_id: int) -> dict[str, Any]:
    """Return the keys of an image entry that state its case: ``case_id``, and ``case_known`` where it is unknown."""
    case_id = image.get('case_id')
    if case_id is None:
        return {'case_id': image['file_name'], 'case_known': False}
    if isinstance(case_id, bool) or not isinstance(case_id, (str, int, float)) or case_id != case_id:
        raise AnnotationError(f'{path}: image {image_id}: case_id must be text or a number, found {case_id!r:.40}')
    return {'case_id': str(case_id)}


def _warn(message: str) -> None:
    warnings.warn(message, AnnotationWarning, stacklevel=4)


def _require(path: Path, entry: Any, where: str, keys: Iterable[str]) -> None:
    if not isinstance(entry, dict):
        raise AnnotationError(f'{path}: {where} must be an object, found {entry!r}')
    missing = [key for key in keys if key not in entry]
    if missing:
        raise AnnotationError(f'{path}: {where} lacks {", ".join(missing)}; it has {", ".join(entry) or "no key"}')


def _integer(path: Path, value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise AnnotationError(f'{path}: {where} must be an integer, found {value!r:.40}')
    if abs(value) > _MAX_INTEGER:
        raise AnnotationError(f'{path}: {where} is too large: {value!r:.40}')
    return value


def _number(path: Path, value: Any, where: str) -> float:
    # The largest integers of JSON are beyond every float.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise AnnotationError(f'{path}: {where} must be a finite number, found {value!r:.40}')
    return value


def _numbers(path: Path, values: Any, where: str, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise AnnotationError(f'{path}: {where} must be a list of {count} numbers, found {values!r}')
    return [_number(path, value, where) for value in values]
