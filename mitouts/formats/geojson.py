"""Makes and reads GeoJSON features as QuPath 0.5 to 0.7 understands them.

QuPath needs a ``color`` in every classification and an ``objectType`` in every feature, ignores an id that is no UUID,
and drops properties that it does not know: a score belongs in ``measurements``. Coordinates here are QuPath's: pixels
of level 0 from the *corner* of the top-left pixel, half a pixel more than everywhere else in this package; see
:func:`to_qupath`.
"""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import check_coordinate, is_number
from mitouts.utils.text_files import parse_json

ObjectType = Literal['annotation', 'detection']

FOREIGN_MEMBER = 'mitouts'
MAX_FILE_BYTES = 1 << 30
SCORE = 'probability'
HALF_PIXEL = 0.5
# Far below what matters, and few enough digits that adding and subtracting half a pixel leaves no trace.
DECIMALS = 9
COLORS: Mapping[int, tuple[int, int, int]] = {MITOTIC_FIGURE: (220, 38, 38), HARD_NEGATIVE: (37, 99, 235)}
OTHER_COLOR = (217, 119, 6)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, 'mitouts')


def to_qupath(x: float, y: float, bounds_xy_px: Sequence[float] = (0, 0)) -> tuple[float, float]:
    """Convert a point of this package to QuPath's pixel coordinates.

    Args:
        x: Column in pixels, 0 at the centre of the leftmost pixel.
        y: Row in pixels.
        bounds_xy_px: The slide's ``openslide.bounds-x`` and ``-y``: QuPath's origin is there.
    """
    return round(x + HALF_PIXEL - bounds_xy_px[0], DECIMALS), round(y + HALF_PIXEL - bounds_xy_px[1], DECIMALS)


def from_qupath(x: float, y: float, bounds_xy_px: Sequence[float] = (0, 0)) -> tuple[float, float]:
    """Convert QuPath's pixel coordinates to a point of this package; the inverse of :func:`to_qupath`."""
    return round(x - HALF_PIXEL + bounds_xy_px[0], DECIMALS), round(y - HALF_PIXEL + bounds_xy_px[1], DECIMALS)


def feature_id(*parts: Any) -> str:
    """Make a UUID that is always the same for the same parts, such as file name and number."""
    return str(uuid.uuid5(_NAMESPACE, '\x1f'.join(map(str, parts)).encode('utf-8', 'replace').decode()))


def class_name_of(properties: Mapping[str, Any]) -> str | None:
    """Return a feature's class as QuPath shows it; derived classes have several names."""
    classification = properties.get('classification')
    if isinstance(classification, dict):
        names = classification.get('names')
        classification = ': '.join(map(str, names)) if isinstance(names, list) else classification.get('name')
    return classification if isinstance(classification, str) and classification.strip() else None


def point_feature(
    x: float,
    y: float,
    class_name: str,
    *,
    identity: str,
    color: Sequence[int] = OTHER_COLOR,
    measurements: Mapping[str, float] | None = None,
    object_type: ObjectType = 'detection',
    name: str | None = None,
    carried: Mapping[str, Any] | None = None,
    bounds_xy_px: Sequence[float] = (0, 0),
) -> dict[str, Any]:
    """Make a point.

    Args:
        x: Column in pixels, 0 at the centre of the leftmost pixel.
        y: Row in pixels.
        identity: Result of :func:`feature_id`.
        measurements: Numbers that QuPath shows and keeps, such as ``{'probability': 0.93}``.
        object_type: Annotations can be moved in QuPath; detections are faster when there are many.
        name: Shown beside the object.
        carried: Data that QuPath has no field for; it is dropped when QuPath writes the file again.
        bounds_xy_px: See :func:`to_qupath`.

    Raises:
        AnnotationError: A coordinate or measurement is no finite number.
    """
    where = f'feature {identity}'
    column, row = to_qupath(check_coordinate(x, where), check_coordinate(y, where), bounds_xy_px)
    geometry = {'type': 'Point', 'coordinates': [column, row]}
    return _feature(geometry, class_name, identity, color, measurements, object_type, name, carried)


def polygon_feature(
    rings: Sequence[Sequence[Sequence[float]]],
    class_name: str,
    *,
    identity: str,
    color: Sequence[int] = OTHER_COLOR,
    measurements: Mapping[str, float] | None = None,
    name: str | None = None,
    bounds_xy_px: Sequence[float] = (0, 0),
) -> dict[str, Any]:
    """Make an area, such as a hotspot or tissue, that can be moved in QuPath.

    Args:
        rings: The outline and then the holes, each of at least three ``(x, y)`` in pixels as for
            :func:`point_feature`; closed where they are not.
        class_name: See :func:`point_feature`, as for all further arguments.

    Raises:
        AnnotationError: Fewer than three corners, or a number that is not finite.
    """
    where = f'feature {identity}'
    closed = []
    for ring in rings:
        corners = [
            list(to_qupath(check_coordinate(x, where), check_coordinate(y, where), bounds_xy_px)) for x, y in ring
        ]
        if corners and corners[0] != corners[-1]:
            corners.append(corners[0])
        if len(corners) < 4:
            raise AnnotationError(f'{where}: an outline needs three corners, found {len(ring)}')
        closed.append(corners)
    if not closed:
        raise AnnotationError(f'{where}: a polygon needs an outline')
    geometry = {'type': 'Polygon', 'coordinates': closed}
    return _feature(geometry, class_name, identity, color, measurements, 'annotation', name)


def feature_collection(
    features: Iterable[Mapping[str, Any]], carried: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Make the content of a file: one image's features.

    Args:
        features: Of :func:`point_feature` and :func:`polygon_feature`.
        carried: Data that QuPath has no field for.
    """
    collection: dict[str, Any] = {'type': 'FeatureCollection', 'features': [dict(feature) for feature in features]}
    return collection if carried is None else {**collection, FOREIGN_MEMBER: dict(carried)}


def read_geojson(path: str | os.PathLike[str]) -> Any:
    """Read the content of a GeoJSON file; one that is gzipped is unpacked.

    Raises:
        AnnotationError: It cannot be read, is damaged, too large, or no JSON.
    """
    path = Path(path)
    try:
        with path.open('rb') as raw:
            is_gzip = raw.read(2) == b'\x1f\x8b'
        with gzip.open(path) if is_gzip else path.open('rb') as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise AnnotationError(f'{path}: the gzip file is damaged ({error})') from error
    except OSError as error:
        raise AnnotationError(f'{path}: cannot be read ({error.strerror or error})') from error
    if len(data) > MAX_FILE_BYTES:
        raise AnnotationError(f'{path}: unpacks to more than {MAX_FILE_BYTES >> 20:,} MiB')
    return parse_json(data, path)


def _feature(
    geometry: Mapping[str, Any],
    class_name: str,
    identity: str,
    color: Sequence[int],
    measurements: Mapping[str, float] | None,
    object_type: ObjectType,
    name: str | None,
    carried: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        'objectType': object_type,
        'classification': {'name': class_name, 'color': list(color)},
        'isLocked': False,
    }
    # QuPath fails on a null name.
    if name is not None:
        properties['name'] = name
    if measurements:
        wrong = [key for key, value in measurements.items() if not is_number(value)]
        if wrong:
            raise AnnotationError(f'feature {identity}: the measurement {wrong[0]!r} is no finite number')
        properties['measurements'] = {key: float(value) for key, value in measurements.items()}
    if carried is not None:
        properties[FOREIGN_MEMBER] = dict(carried)
    return {'type': 'Feature', 'id': identity, 'geometry': dict(geometry), 'properties': properties}
