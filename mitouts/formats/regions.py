"""Reads areas of a slide from QuPath's GeoJSON, and turns masks into outlines for it.

A region is a list of rings, the outline first and its holes after it. Points are in level-0 pixels with 0 at the centre
of the first one; QuPath has 0 at that pixel's corner (:func:`mitouts.formats.geojson.to_qupath`).
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.geojson import DECIMALS, HALF_PIXEL, class_name_of, read_geojson
from mitouts.formats.source import check_coordinate, listed

Region = list[NDArray[np.float64]]
"""Rings, the outline first, each ``(N, 2)`` of ``(x, y)``; the first corner is not repeated at the end."""

_SPELLINGS = (('our', 'or'), ('ae', 'e'), ('oe', 'e'), ('centre', 'center'), ('fibre', 'fiber'), ('grey', 'gray'))
_CLOSED_TYPES = ('Polygon', 'MultiPolygon')
# Cells and tiles are polygons too, thousands of them, and no area that somebody drew.
_DETECTION_TYPES = ('detection', 'cell', 'tile')


class _Geometry(NamedTuple):
    content: Mapping[str, Any]
    class_name: str | None
    object_type: str | None
    where: str


def read_regions(
    path: str | os.PathLike[str],
    bounds_xy_px: Sequence[float] = (0, 0),
    *,
    classes: Collection[str] | None = None,
) -> list[Region]:
    """Read the polygons of a GeoJSON file.

    Collections, lists, single features and bare geometries are read, also gzipped. Points, lines, and what QuPath
    calls detections, cells and tiles are left out with a warning that counts them.

    Args:
        bounds_xy_px: The slide's ``openslide.bounds-x`` and ``-y``: QuPath's origin is there.
        classes: Only polygons of these classes, whatever their case and spelling (:func:`spelling_key`); None takes
            all, with a class or without.

    Returns:
        Every polygon; a multipolygon is several.

    Raises:
        AnnotationError: The file cannot be read, holds no such polygon, or holds an invalid one.
    """
    path = Path(path)
    missing = None if classes is None else {spelling_key(name): name for name in classes}
    wanted = None if missing is None else frozenset(missing)
    shift = np.array([check_coordinate(value, f'{path}: bounds') for value in bounds_xy_px]) - HALF_PIXEL
    regions: list[Region] = []
    left_out: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for geometry in _geometries(read_geojson(path), str(path)):
        kind = geometry.content.get('type')
        if kind not in _CLOSED_TYPES:
            left_out[str(kind)[:40]] += 1
        elif geometry.object_type in _DETECTION_TYPES:
            left_out[str(geometry.object_type)] += 1
        elif wanted is not None and spelling_key(geometry.class_name or '') not in wanted:
            others[geometry.class_name or 'without a class'] += 1
        else:
            (missing or {}).pop(spelling_key(geometry.class_name or ''), None)
            regions += [_region(rings, shift, geometry.where) for rings in _polygons(geometry)]
    listing = ', '.join(f'{count} {name}' for name, count in sorted(left_out.items()))
    if not regions:
        raise AnnotationError(_nothing_found(path, classes, others, listing))
    if missing:
        known = f'; other classes are {listed([repr(name) for name in sorted(others)])}' if others else ''
        names = ' or '.join(sorted(missing.values()))
        warnings.warn(f'{path}: has no area of class {names}{known}', AnnotationWarning, stacklevel=2)
    if listing:
        warnings.warn(f'{path}: only areas are read; left out: {listing}', AnnotationWarning, stacklevel=2)
    return regions


def spelling_key(name: str) -> str:
    """Return a key of a class name that is the same for its British and American spelling, whatever its case.

    >>> spelling_key('Tumour') == spelling_key('TUMOR'), spelling_key('haemorrhage') == spelling_key('Hemorrhage')
    (True, True)
    """
    key = ' '.join(name.casefold().replace('_', ' ').split())
    for british, american in _SPELLINGS:
        key = key.replace(british, american)
    return key


def mask_to_polygons(mask: ArrayLike, cell_px: float | tuple[float, float]) -> list[Region]:
    """Trace the outlines of the marked cells of a mask, exactly along their edges.

    Cells that touch at a corner only belong to different polygons, and no ring passes a point twice, so the polygons
    are valid for QuPath (OGC simple features): together they cover the marked cells and nothing else.

    Args:
        mask: ``(rows, columns)``, bool.
        cell_px: Side of a cell in level-0 pixels, or its width and height; the first cell starts at the slide's outer
            corner, ``(-0.5, -0.5)``.

    Returns:
        One region for each 4-connected piece, in the order of their first cells, row by row. Outlines run clockwise on
        the screen and holes counter-clockwise, with corners only where they turn.
    """
    marked = np.asarray(mask, dtype=bool)
    if marked.ndim != 2:
        raise ValueError(f'expected a mask of shape (rows, columns), found {marked.shape}')
    if not marked.size:
        return []
    scale = np.array(cell_px if isinstance(cell_px, tuple) else (cell_px, cell_px), dtype=np.float64)
    _, pieces = cv2.connectedComponents(marked.astype(np.uint8), connectivity=4)
    outlines: dict[int, NDArray[np.float64]] = {}
    holes: dict[int, Region] = {}
    for ring, piece in _trace(np.pad(np.where(marked, pieces, 0), 1)):
        corners = _corners(ring)
        if _doubled_area(corners) > 0:
            outlines[piece] = corners * scale - HALF_PIXEL
        else:
            holes.setdefault(piece, []).append(corners * scale - HALF_PIXEL)
    return [[outlines[piece], *holes.get(piece, [])] for piece in sorted(outlines)]


def _trace(pieces: NDArray[np.integer]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Walk along the edges between the cells of a piece and empty cells, with the piece on the right.

    Args:
        pieces: ``(rows + 2, columns + 2)``, 0 where a cell is empty, as all of the border are.

    Yields:
        Corners ``(N, 2)`` of a ring that passes no point twice, in cells, and the piece it belongs to.
    """
    keys, owners = _edges(pieces)
    points, following = keys // 4, _following(keys, pieces.shape[1]).tolist()
    is_used = bytearray(len(keys))
    for first in range(len(keys)):
        if is_used[first]:
            continue
        walk, edge = [], first
        while not is_used[edge]:
            is_used[edge] = 1
            walk.append(edge)
            edge = following[edge]
        for ring in _cut(points[walk]):
            yield np.stack([ring % pieces.shape[1], ring // pieces.shape[1]], axis=1), int(owners[first])


def _edges(pieces: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cell sides that face an empty cell as sorted keys ``4 * point + direction``, and each one's piece."""
    marked = pieces > 0
    # Each side of a cell runs clockwise: the neighbour beyond it, and where in the cell it begins.
    sides = (((-1, 0), (0, 0)), ((0, 1), (1, 0)), ((1, 0), (1, 1)), ((0, -1), (0, 1)))
    keys, owners = [], []
    for direction, ((down, across), (begin_x, begin_y)) in enumerate(sides):
        rows, columns = np.nonzero(marked & ~np.roll(marked, (-down, -across), axis=(0, 1)))
        points = (rows - 1 + begin_y) * pieces.shape[1] + columns - 1 + begin_x
        keys.append(points * 4 + direction)
        owners.append(pieces[rows, columns])
    every, owner = np.concatenate(keys), np.concatenate(owners)
    order = np.argsort(every)
    return every[order], owner[order].astype(np.int64)


def _following(keys: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
    """Return the index of the edge that follows each edge."""
    points, directions = np.divmod(keys, 4)
    ends = points + np.array([1, columns, -1, -columns])[directions]
    following = np.full(len(keys), -1, dtype=np.int64)
    # Where two cells touch at a corner only, the turn to the right stays with the same cell.
    for change in (1, 0, 3):
        wanted = ends * 4 + (directions + change) % 4
        position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_next = (following < 0) & (keys[position] == wanted)
        following[is_next] = position[is_next]
    return following


def _cut(walk: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Split a closed walk over points into rings wherever it returns to a point."""
    if len(np.unique(walk)) == len(walk):
        yield walk
        return
    trail: list[int] = []
    position: dict[int, int] = {}
    for point in [*walk.tolist(), int(walk[0])]:
        if point in position:
            ring = trail[position[point] :]
            yield np.array(ring, dtype=np.int64)
            del trail[-len(ring) :]
            for passed in ring:
                del position[passed]
        position[point] = len(trail)
        trail.append(point)


def _corners(ring: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the points at which a ring turns."""
    ahead = np.roll(ring, -1, axis=0) - ring
    return ring[(ahead != np.roll(ahead, 1, axis=0)).any(axis=1)].astype(np.float64)


def _doubled_area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _geometries(content: Any, where: str) -> Iterator[_Geometry]:
    """Yield the geometries of a document, with the class and object type of their features."""
    waiting: list[tuple[Any, str | None, str | None, str]] = [(content, None, None, where)]
    while waiting:
        entry, class_name, object_type, where = waiting.pop()
        inside: Any = None
        if isinstance(entry, list):
            inside, what = entry, 'feature'
        elif not isinstance(entry, dict):
            raise AnnotationError(f'{where}: expected GeoJSON, as QuPath exports it, found {str(entry)[:60]!r}')
        elif entry.get('type') == 'FeatureCollection':
            inside, what = entry.get('features'), 'feature'
        elif entry.get('type') == 'GeometryCollection':
            inside, what = entry.get('geometries'), 'geometry'
        elif entry.get('type') == 'Feature':
            properties = entry.get('properties') or {}
            if not isinstance(properties, dict) or not isinstance(entry.get('geometry') or {}, dict):
                raise AnnotationError(f'{where}: expected a feature with a geometry, found {str(entry)[:60]!r}')
            # GeoJSON allows a feature without a place.
            if entry.get('geometry'):
                waiting.append((entry['geometry'], class_name_of(properties), properties.get('objectType'), where))
            continue
        elif 'coordinates' in entry:
            yield _Geometry(entry, class_name, object_type, where)
            continue
        if not isinstance(inside, list):
            raise AnnotationError(f'{where}: expected GeoJSON, as QuPath exports it, found {str(entry)[:60]!r}')
        waiting += [
            (part, class_name, object_type, f'{where}: {what} {number}') for number, part in enumerate(inside, start=1)
        ][::-1]


def _polygons(geometry: _Geometry) -> list[Any]:
    coordinates = geometry.content['coordinates']
    polygons = coordinates if geometry.content['type'] == 'MultiPolygon' else [coordinates]
    if not isinstance(polygons, list) or not all(isinstance(rings, list) and rings for rings in polygons):
        raise AnnotationError(f'{geometry.where}: a polygon needs an outline, found {str(coordinates)[:60]!r}')
    return polygons


def _region(rings: Sequence[Any], shift: NDArray[np.float64], where: str) -> Region:
    region = []
    for ring in rings:
        if not isinstance(ring, list) or not all(isinstance(pair, list) and len(pair) in (2, 3) for pair in ring):
            raise AnnotationError(f'{where}: expected an outline as a list of [x, y], found {str(ring)[:60]!r}')
        corners = np.array(
            [[check_coordinate(pair[0], where), check_coordinate(pair[1], where)] for pair in ring], dtype=np.float64
        ).reshape(-1, 2)
        if len(corners) > 1 and (corners[0] == corners[-1]).all():
            corners = corners[:-1]
        if len(np.unique(corners, axis=0)) < 3:
            raise AnnotationError(f'{where}: an outline needs three corners, found {len(np.unique(corners, axis=0))}')
        region.append(np.round(corners + shift, DECIMALS))
    return region


def _nothing_found(path: Path, classes: Collection[str] | None, others: Mapping[str, int], left_out: str) -> str:
    expected = 'an area (a polygon)'
    if classes is not None:
        expected += f' of class {" or ".join(sorted(classes))}'
    seen = [f'{count} of class {name!r:.60}' for name, count in sorted(others.items())]
    return f'{path}: expected {expected}, found {listed(seen + ([left_out] if left_out else [])) or "nothing"}'
