"""Writes annotation documents as QuPath GeoJSON and reads it back, one file for each image.

What QuPath shows (points, classes, probabilities) is stored where QuPath looks for it; the document's own entries are
stored in a foreign member ``mitouts`` of the collection and of each feature's properties. QuPath drops that member when
it writes the file again: points, classes and probabilities survive, ids, sizes, cases, votes and further keys do not.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.carried import (
    CASE_UNKNOWN,
    base_of,
    carried_figure,
    carried_image,
    case_of,
    check_base,
    check_exportable,
    check_unique_ids,
    label_files,
)
from mitouts.formats.class_names import named_category
from mitouts.formats.geojson import (
    COLORS,
    FOREIGN_MEMBER,
    OTHER_COLOR,
    SCORE,
    ObjectType,
    class_name_of,
    feature_collection,
    feature_id,
    from_qupath,
    point_feature,
    read_geojson,
)
from mitouts.formats.source import (
    SourceFigure,
    SourceImage,
    SourceSet,
    check_coordinate,
    check_file_name,
    is_id,
    is_number,
    listed,
)
from mitouts.formats.source_files import find_file
from mitouts.functional.outline import interior_point
from mitouts.imaging import open_slide

SUFFIXES = ('.geojson', '.json', '.geojson.gz', '.json.gz')
_MAX_FILES = 1 << 62
_OUTLINED = ('Polygon', 'MultiPolygon')
Bounds = Mapping[str, Sequence[float]]


@dataclass
class _Tally:
    """Counts of what was found in the files, for the notes."""

    left_out: Counter[str] = field(default_factory=Counter)
    polygons: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    stripped: list[str] = field(default_factory=list)


def export_geojson(
    document: Mapping[str, Any], *, object_type: ObjectType = 'annotation', bounds_xy_px: Bounds | None = None
) -> dict[str, dict[str, Any]]:
    """Make one feature collection for each image.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it.
        object_type: Type of the objects in QuPath; annotations can be moved there.
        bounds_xy_px: File name -> ``openslide.bounds-x`` and ``-y`` of slides that have them.

    Returns:
        Relative path, ``<file_name>.geojson``, -> collection, also for images without figures.

    Raises:
        AnnotationError: Two images share a name, or a point has no finite position.
    """
    check_exportable(document['images'], 'a folder of GeoJSON files')
    names = {category['id']: str(category['name']) for category in document['categories']}
    features: dict[int, list[dict[str, Any]]] = {image['id']: [] for image in document['images']}
    images = {image['id']: image for image in document['images']}
    bounds = bounds_xy_px or {}
    for annotation in document['annotations']:
        image = images[annotation['image_id']]
        score = annotation.get('score')
        x, y = annotation['point']
        features[image['id']].append(
            point_feature(
                x,
                y,
                names[annotation['category_id']],
                identity=feature_id(image['file_name'], annotation['id']),
                color=COLORS.get(annotation['category_id'], OTHER_COLOR),
                measurements={SCORE: score} if is_number(score) else None,
                object_type=object_type,
                carried=annotation,
                bounds_xy_px=bounds.get(image['file_name'], (0, 0)),
            )
        )
    base = base_of(document)
    files = {}
    for position, image in enumerate(document['images']):
        carried = {
            'document': base,
            'image': image,
            'position': position,
            'annotations': len(features[image['id']]),
            'bounds_xy_px': list(bounds.get(image['file_name'], (0, 0))),
        }
        path = check_file_name(image['file_name'], f'image {image["id"]}') + SUFFIXES[0]
        files[path] = feature_collection(features[image['id']], carried)
    return files


def read_qupath(
    src: str | os.PathLike[str],
    *,
    mitotic: str | None = None,
    hard_negative: str | None = None,
    image_root: Path | None = None,
) -> SourceSet:
    """Read a GeoJSON file, or a folder of them; an image is named after its file, unless the file gives another name.

    Points and multi-points are figures; a polygon is one at its centroid, or at a point inside where that lies outside
    (:func:`mitouts.functional.outline.interior_point`; holes do not count), of its largest part where it has several.
    Objects of other classes are left out.

    Args:
        src: The file or folder; ``.gz`` is unpacked.
        mitotic: The class of mitotic figures; None finds it by its usual names.
        hard_negative: The class of look-alikes, or None.
        image_root: The images' folder, where the offsets of slides that QuPath crops are read; a file that was exported
            with one knows its own.

    Raises:
        AnnotationError: No such file, one that is not GeoJSON, or numbers that make no sense.
    """
    src = Path(src)
    placed: list[tuple[int, SourceImage]] = []
    figures: list[SourceFigure] = []
    bases: list[dict[str, Any]] = []
    tally = _Tally()
    for path, name in label_files(src, SUFFIXES):
        features, carried = _read_file(path)
        image, base = _image(path, name, carried)
        position = carried.get('position')
        placed.append((position if is_id(position) else _MAX_FILES, image))
        if base is None:
            tally.stripped.append(image.file_name)
        elif base not in bases:
            bases.append(base)
        bounds = _bounds(path, image.file_name, carried, image_root)
        known = {} if base is None else {entry['name']: entry['id'] for entry in base['categories']}
        before = len(figures)
        for number, feature in enumerate(_flat(features), start=1):
            where = f'{path}: feature {number}'
            figures += _figures(feature, where, image.file_name, known, (mitotic, hard_negative), bounds, tally)
        exported = carried.get('annotations') if base is not None else None
        if isinstance(exported, int):
            tally.gone += max(0, exported - sum(figure.annotation_id is not None for figure in figures[before:]))
    if len(bases) > 1:
        raise AnnotationError(f'{src}: the files were exported from {len(bases)} documents; convert them one by one')
    # In the order of the document, and what it does not know last.
    images = [image for _, image in sorted(placed, key=lambda figure: figure[0])]
    check_unique_ids(images, figures, str(src))
    base = bases[0] if bases else None
    title = None if base is None else base.get('info', {}).get('mitouts', {}).get('name')
    return SourceSet(str(title or 'QuPath annotations'), 'other', images, figures, _notes(tally, len(images)), base)


def read_bounds(image_root: Path | None, file_names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Read the top left corner of the scanned part of each slide, in level-0 pixels; missing files are left out.

    Raises:
        ImageError: A slide cannot be opened.
    """
    if image_root is None:
        return {}
    bounds = {}
    for name in file_names:
        path = find_file(image_root, name)
        if path is not None:
            with open_slide(path) as reader:
                bounds[name] = reader.bounds_xy_px
    return bounds


def _notes(tally: _Tally, images: int) -> list[str]:
    notes = []
    if tally.left_out:
        counted = ', '.join(f'{name} ({count})' for name, count in sorted(tally.left_out.items()))
        notes.append(
            f'left out {sum(tally.left_out.values())} objects that are no figures: {counted} (--mitotic CLASS and '
            '--hard-negative CLASS name the classes that are)'
        )
    if tally.polygons:
        notes.append(
            f'{tally.polygons} polygons are taken at their centroid, or at a point inside where that is outside'
        )
    if tally.stripped:
        notes.append(
            f'{len(tally.stripped)} of {images} files come from QuPath, which keeps points, classes and probabilities, '
            'but no ids, sizes, cases, resolutions, votes and further keys: sizes and resolutions come from '
            f'--image-root, the case is the file name ({listed(tally.stripped)})'
        )
    if tally.changed or tally.new or tally.gone:
        notes.append(
            f'since the export {tally.changed} figures were moved or given another class, {tally.new} are new, '
            f'{tally.gone} gone'
        )
    return notes


def _read_file(path: Path) -> tuple[list[Any], dict[str, Any]]:
    """Return a file's features, and the document entries that were carried in it."""
    content = read_geojson(path)
    if isinstance(content, list):
        return content, {}
    if isinstance(content, dict) and content.get('type') == 'Feature':
        return [content], {}
    if not isinstance(content, dict) or not isinstance(content.get('features'), list):
        is_ours = isinstance(content, dict) and 'images' in content
        raise AnnotationError(
            f'{path}: expected a FeatureCollection or a list of features, as QuPath exports them, found '
            f'{str(content)[:60]!r}' + ('; --export makes GeoJSON of it' if is_ours else '')
        )
    carried = content.get(FOREIGN_MEMBER)
    return content['features'], carried if isinstance(carried, dict) else {}


def _image(path: Path, name: str, carried: Mapping[str, Any]) -> tuple[SourceImage, dict[str, Any] | None]:
    if 'image' not in carried:
        return SourceImage(name, case_of(name), extra=CASE_UNKNOWN), None
    return carried_image(carried['image'], str(path)), check_base(carried.get('document'), str(path))


def _bounds(path: Path, name: str, carried: Mapping[str, Any], image_root: Path | None) -> Sequence[float]:
    bounds = carried.get('bounds_xy_px')
    if bounds is None:
        bounds = read_bounds(image_root, [name]).get(name, (0, 0))
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise AnnotationError(f'{path}: expected bounds (x, y) in pixels, found {bounds!r:.60}')
    return [check_coordinate(value, f'{path}: bounds') for value in bounds]


def _flat(features: Sequence[Any]) -> Iterator[Any]:
    """Yield features, each followed by the objects inside it."""
    waiting = [iter(features)]
    while waiting:
        for feature in waiting[-1]:
            yield feature
            properties = feature.get('properties') if isinstance(feature, dict) else None
            inside = properties.get('childObjects') if isinstance(properties, dict) else None
            if isinstance(inside, list) and inside:
                waiting.append(iter(inside))
                break
        else:
            waiting.pop()


def _figures(
    feature: Any,
    where: str,
    file_name: str,
    known: Mapping[str, int],
    wanted: tuple[str | None, str | None],
    bounds: Sequence[float],
    tally: _Tally,
) -> list[SourceFigure]:
    if not isinstance(feature, dict) or not isinstance(feature.get('geometry') or {}, dict):
        raise AnnotationError(f'{where}: expected a feature with a geometry, found {str(feature)[:60]!r}')
    properties = feature.get('properties') or {}
    if not isinstance(properties, dict):
        raise AnnotationError(f'{where}: expected properties as an object, found {str(properties)[:60]!r}')
    class_name = class_name_of(properties)
    category = None if class_name is None else known.get(class_name, named_category(class_name, *wanted))
    geometry = feature.get('geometry') or {}
    kind = geometry.get('type')
    if category is None:
        tally.left_out['without a class' if class_name is None else f'{class_name!r:.60}'] += 1
        return []
    if kind not in ('Point', 'MultiPoint', *_OUTLINED):
        tally.left_out[f'{class_name!r:.60} as {str(kind)[:40]!r}'] += 1
        return []
    points = [from_qupath(x, y, bounds) for x, y in _points(geometry, where)]
    tally.polygons += kind in _OUTLINED
    carried = properties.get(FOREIGN_MEMBER)
    score = _score(properties, where)
    if carried is not None and len(points) == 1:
        x, y = points[0]
        figure, is_changed = carried_figure(carried, where, file_name=file_name, x=x, y=y, category_id=category)
        tally.changed += is_changed
        return [figure]
    tally.new += len(points) if known else 0
    extra = {} if score is None else {'score': score}
    return [SourceFigure(file_name, x, y, category, extra) for x, y in points]


def _score(properties: Mapping[str, Any], where: str) -> float | None:
    measurements = properties.get('measurements')
    if isinstance(measurements, list):
        # As QuPath 0.3 and older write them.
        measurements = {str(entry.get('name')): entry.get('value') for entry in measurements if isinstance(entry, dict)}
    by_name = {name.casefold(): value for name, value in measurements.items()} if isinstance(measurements, dict) else {}
    value = next((by_name[name] for name in (SCORE, 'score') if name in by_name), None)
    # QuPath writes a measurement that it could not make as the text "NaN".
    if value is None or value == 'NaN':
        return None
    if not is_number(value):
        raise AnnotationError(f'{where}: expected a number as {SCORE}, found {value!r:.40}')
    return value


def _points(geometry: Mapping[str, Any], where: str) -> list[tuple[float, float]]:
    coordinates = geometry.get('coordinates')
    if geometry['type'] == 'Point':
        return [_pair(coordinates, where)]
    if not isinstance(coordinates, list):
        raise AnnotationError(f'{where}: expected a list of coordinates, found {coordinates!r:.60}')
    if geometry['type'] == 'MultiPoint':
        return [_pair(pair, where) for pair in coordinates]
    polygons = coordinates if geometry['type'] == 'MultiPolygon' else [coordinates]
    if not polygons:
        raise AnnotationError(f'{where}: expected a polygon with an outline')
    return [interior_point(max((_outline(polygon, where) for polygon in polygons), key=_area))]


def _outline(polygon: Any, where: str) -> list[tuple[float, float]]:
    if not isinstance(polygon, list) or not polygon or not isinstance(polygon[0], list):
        raise AnnotationError(f'{where}: expected a polygon with an outline')
    outline = [_pair(pair, where) for pair in polygon[0]]
    if len(outline) < 3:
        raise AnnotationError(f'{where}: a polygon needs three corners, found {len(outline)}')
    return outline


def _area(outline: Sequence[tuple[float, float]]) -> float:
    following = [*outline[1:], outline[0]]
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(outline, following))) / 2


def _pair(pair: Any, where: str) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) not in (2, 3):
        raise AnnotationError(f'{where}: expected [x, y], found {str(pair)[:60]!r}')
    return check_coordinate(pair[0], where), check_coordinate(pair[1], where)
