"""Matches predicted points with annotated ones, under the two protocols of the package.

``one_to_one`` (default): a largest set of pairs within the radius, and of these the one with the least total distance;
a second prediction on a figure that is already taken is a false positive. ``presence`` (the authors' public code):
every prediction near an annotation counts as true, however many there are on it.

The radius is inclusive everywhere. All functions take many images at once as well as one: the image becomes a third
coordinate, spaced beyond the radius, so that a single KD-tree serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from mitouts.functional.assignment import least_cost_matching
from mitouts.functional.point_arrays import as_points

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Bounds the memory of a batch of images; larger ones are no faster.
_MAX_POINTS_PER_BATCH = 200_000
# The tree compares squares, which may round a point exactly on the radius away: it searches a hair wider, and the
# distances are compared afterwards.
_SEARCH_SLACK = 1.0 + 1e-9


class Matches(NamedTuple):
    """Pairs of a prediction and an annotation.

    Attributes:
        pred_index: ``(M,)`` int64, positions in the predictions, ascending.
        truth_index: ``(M,)`` int64, positions in the annotations.
        distance_px: ``(M,)`` float64.
    """

    pred_index: IntArray
    truth_index: IntArray
    distance_px: FloatArray


class ImageMatches(NamedTuple):
    """Pairs of points in many images, ordered by image; the indices count within the image.

    Attributes:
        image_index: ``(M,)`` int64, positions in the sequence of images.
        pred_index: ``(M,)`` int64.
        truth_index: ``(M,)`` int64.
        distance_px: ``(M,)`` float64.
    """

    image_index: IntArray
    pred_index: IntArray
    truth_index: IntArray
    distance_px: FloatArray


class _Stack(NamedTuple):
    """The points of many images stacked in one array."""

    xy: FloatArray
    image: IntArray
    start: IntArray


def match_one_to_one(pred_xy: ArrayLike, truth_xy: ArrayLike, radius_px: float) -> Matches:
    """Match predictions and annotations of one image one to one.

    As many pairs as possible lie within the radius (inclusive), and of all such matchings it is one with the least
    total distance. Memory is linear in the number of pairs within the radius.

    Args:
        pred_xy: ``(P, 2)`` predicted points in pixels.
        truth_xy: ``(G, 2)`` annotated points in pixels.
        radius_px: The largest distance of a pair in pixels, inclusive.

    Raises:
        ValueError: An array has another shape or holds NaN, or the radius is negative.

    >>> match_one_to_one([[0, 0], [9, 0]], [[3, 0], [100, 0]], radius_px=5).distance_px.tolist()
    [3.0]
    """
    ((_, preds, truths, radii),) = _batches([pred_xy], [truth_xy], radius_px)
    pairs = _pairs_within(preds, truths, radii)
    chosen = least_cost_matching(*pairs, len(preds.xy), len(truths.xy))
    return Matches(pairs.pred_index[chosen], pairs.truth_index[chosen], pairs.distance_px[chosen])


def match_images_by_score(
    points: Sequence[ArrayLike], truth_xy: Sequence[ArrayLike], radius_px: float | Sequence[float]
) -> ImageMatches:
    """Match greedily: in descending score, each prediction takes the nearest unused annotation within the radius.

    Of equal scores the earlier prediction chooses first, of equal distances the earlier annotation is taken. What the
    predictions above a threshold take does not depend on those below it, so one matching serves every threshold.

    All predictions propose at once and an annotation keeps the best-scored proposal, round by round until nobody is
    refused (Gale and Shapley 1962). As every annotation prefers the higher score, the sequential rule ends likewise.

    Args:
        points: ``(P, 3)`` predicted points ``(x, y, score)``, an array for each image.
        truth_xy: As in :func:`count_images`, which also says what is raised.
        radius_px: As there.
    """
    arrays = [as_points(array, 3) for array in points]
    parts = []
    for first, preds, truths, radii in _batches([array[:, :2] for array in arrays], truth_xy, radius_px):
        scores = np.concatenate([array[:, 2] for array in arrays[first : first + len(radii)]])
        pairs = _pairs_within(preds, truths, radii)
        parts.append(_locate(first, preds, truths, pairs, _serial_choice(pairs, scores, len(truths.xy))))
    return _concatenate(parts)


def count_images(
    pred_xy: Sequence[ArrayLike],
    truth_xy: Sequence[ArrayLike],
    radius_px: float | Sequence[float],
    *,
    protocol: str,
    ignored_xy: Sequence[ArrayLike] | None = None,
) -> IntArray:
    """Count true positives, false positives and false negatives of many images.

    Args:
        pred_xy: ``(P, 2)`` predicted points in pixels, an array for each image.
        truth_xy: ``(G, 2)`` annotated points in pixels, an array for each image.
        radius_px: One radius for all images, or one for each.
        protocol: ``one_to_one`` or ``presence``.
        ignored_xy: ``(I, 2)`` points in pixels, an array for each image: an unmatched prediction within the radius of
            one is not a false positive.

    Returns:
        ``(N, 3)`` int64: ``tp, fp, fn`` of each image.

    Raises:
        ValueError: The protocol is unknown, the sequences differ in length, an array has another shape or holds NaN, or
            a radius is negative.
    """
    if protocol not in ('one_to_one', 'presence'):
        raise ValueError(f"protocol must be 'one_to_one' or 'presence', found {protocol!r}")
    if ignored_xy is not None and len(ignored_xy) != len(pred_xy):
        raise ValueError(f'expected ignored points of {len(pred_xy)} images, found {len(ignored_xy)} arrays')
    counts = [np.zeros((0, 3), dtype=np.int64)]
    for first, preds, truths, radii in _batches(pred_xy, truth_xy, radius_px):
        if protocol == 'one_to_one':
            pairs = _pairs_within(preds, truths, radii)
            chosen = least_cost_matching(*pairs, len(preds.xy), len(truths.xy))
            hits, hit_truths = pairs.pred_index[chosen], pairs.truth_index[chosen]
        else:
            hits = np.flatnonzero(_has_neighbour(preds, truths, radii))
            hit_truths = np.flatnonzero(_has_neighbour(truths, preds, radii))
        tp = np.bincount(preds.image[hits], minlength=len(radii))
        unmatched = np.ones(len(preds.xy), dtype=bool)
        unmatched[hits] = False
        if ignored_xy is not None:
            in_batch = ignored_xy[first : first + len(radii)]
            ignored = _stack([as_points(array, name='ignored points') for array in in_batch])
            unmatched &= ~_has_neighbour(preds, ignored, radii)
        fp = np.bincount(preds.image[unmatched], minlength=len(radii))
        fn = np.bincount(truths.image, minlength=len(radii))
        fn -= np.bincount(truths.image[hit_truths], minlength=len(radii))
        counts.append(np.stack([tp, fp, fn], axis=1))
    return np.concatenate(counts)


def has_neighbour(
    points_xy: Sequence[ArrayLike], others_xy: Sequence[ArrayLike], radius_px: float | Sequence[float]
) -> NDArray[np.bool_]:
    """Tell for every point whether another set has one within the radius (inclusive) in the same image.

    The arguments and errors are those of :func:`count_images`.

    Returns:
        ``(sum of P,)`` bool, image after image.
    """
    near = [np.zeros(0, dtype=bool)]
    near += [
        _has_neighbour(points, others, radii) for _, points, others, radii in _batches(points_xy, others_xy, radius_px)
    ]
    return np.concatenate(near)


def pairs_within(
    pred_xy: Sequence[ArrayLike], truth_xy: Sequence[ArrayLike], radius_px: float | Sequence[float]
) -> ImageMatches:
    """Find all pairs of a prediction and an annotation within the radius (inclusive); a point may be in several.

    Memory is linear in the number of pairs. The arguments and errors are those of :func:`count_images`.
    """
    parts = []
    for first, preds, truths, radii in _batches(pred_xy, truth_xy, radius_px):
        pairs = _pairs_within(preds, truths, radii)
        parts.append(_locate(first, preds, truths, pairs, np.arange(len(pairs.pred_index))))
    return _concatenate(parts)


def _batches(
    pred_xy: Sequence[ArrayLike], truth_xy: Sequence[ArrayLike], radius_px: float | Sequence[float]
) -> Iterator[tuple[int, _Stack, _Stack, FloatArray]]:
    """Yield batches of images: the first index, the stacked points of both sides, and the radius of each image."""
    if len(pred_xy) != len(truth_xy):
        raise ValueError(
            f'expected predictions and annotations of the same images, found {len(pred_xy)} and {len(truth_xy)} arrays'
        )
    radii = np.asarray(radius_px, dtype=np.float64)
    if radii.shape not in ((), (len(pred_xy),)):
        raise ValueError(f'expected one radius, or one for each of {len(pred_xy)} images, found shape {radii.shape}')
    if not (np.isfinite(radii) & (radii >= 0)).all():
        raise ValueError(f'a radius must be finite and not negative, found {radii.min():g} px')
    radii = np.broadcast_to(radii, len(pred_xy))
    preds = [as_points(array, name='predicted points') for array in pred_xy]
    truths = [as_points(array, name='annotated points') for array in truth_xy]
    first = 0
    while first < len(preds):
        last, points = first, 0
        while last < len(preds) and (last == first or points <= _MAX_POINTS_PER_BATCH):
            points += len(preds[last]) + len(truths[last])
            last += 1
        yield first, _stack(preds[first:last]), _stack(truths[first:last]), radii[first:last]
        first = last


def _stack(arrays: Sequence[FloatArray]) -> _Stack:
    sizes = np.array([len(array) for array in arrays])
    return _Stack(np.concatenate(arrays), np.repeat(np.arange(len(arrays)), sizes), np.cumsum(sizes) - sizes)


def _tree(stack: _Stack, widest_px: float) -> cKDTree:
    spacing = 2.0 * widest_px + 1.0
    # The sliding-midpoint tree builds faster and, unlike the balanced one, does not degrade on repeated points.
    return cKDTree(np.column_stack([stack.xy, stack.image * spacing]), balanced_tree=False)


def _pairs_within(preds: _Stack, truths: _Stack, radii: FloatArray) -> Matches:
    """Find all pairs within the radius; the indices refer to the stacks."""
    widest = float(radii.max(initial=0.0))
    near = _tree(preds, widest).sparse_distance_matrix(
        _tree(truths, widest), widest * _SEARCH_SLACK, output_type='ndarray'
    )
    pred, truth = near['i'], near['j']
    distance = _distance(preds.xy[pred], truths.xy[truth])
    within = distance <= radii[preds.image[pred]]
    pred, truth, distance = pred[within], truth[within], distance[within]
    order = np.lexsort((truth, pred))
    return Matches(pred[order], truth[order], distance[order])


def _has_neighbour(points: _Stack, others: _Stack, radii: FloatArray) -> NDArray[np.bool_]:
    near = np.zeros(len(points.xy), dtype=bool)
    if not len(points.xy) or not len(others.xy):
        return near
    widest = float(radii.max())
    tree = _tree(others, widest)
    _, nearest = tree.query(
        _tree(points, widest).data, distance_upper_bound=np.nextafter(widest * _SEARCH_SLACK, np.inf)
    )
    close = np.flatnonzero(nearest < len(others.xy))
    near[close] = _distance(points.xy[close], others.xy[nearest[close]]) <= radii[points.image[close]]
    return near


def _serial_choice(pairs: Matches, scores: FloatArray, num_truths: int) -> IntArray:
    """Return the positions of the pairs that the sequential rule of :func:`match_images_by_score` would choose."""
    rank = np.empty(len(scores), dtype=np.int64)
    rank[np.argsort(-scores, kind='stable')] = np.arange(len(scores))
    order = np.lexsort((pairs.truth_index, pairs.distance_px, pairs.pred_index))
    pred, truth = pairs.pred_index[order], pairs.truth_index[order]
    end = np.searchsorted(pred, pred, side='right')
    holder = np.full(num_truths, -1, dtype=np.int64)
    asking = np.flatnonzero(np.diff(pred, prepend=-1))
    while len(asking):
        holders = np.unique(holder[truth[asking]])
        rivals = np.concatenate([asking, holders[holders >= 0]])
        rivals = rivals[np.lexsort((rank[pred[rivals]], truth[rivals]))]
        wins = np.diff(truth[rivals], prepend=-1) != 0
        holder[truth[rivals[wins]]] = rivals[wins]
        refused = rivals[~wins] + 1
        asking = refused[refused < end[refused - 1]]
    return np.sort(order[holder[holder >= 0]])


def _locate(first: int, preds: _Stack, truths: _Stack, pairs: Matches, chosen: IntArray) -> ImageMatches:
    pred, truth = pairs.pred_index[chosen], pairs.truth_index[chosen]
    image = preds.image[pred]
    return ImageMatches(
        first + image, pred - preds.start[image], truth - truths.start[image], pairs.distance_px[chosen]
    )


def _concatenate(parts: Sequence[ImageMatches]) -> ImageMatches:
    none = np.zeros(0, dtype=np.int64)
    columns = zip(ImageMatches(none, none, none, np.zeros(0)), *parts)
    return ImageMatches(*(np.concatenate(column) for column in columns))


def _distance(first: FloatArray, second: FloatArray) -> FloatArray:
    x, y = (first - second).T
    return np.sqrt(x * x + y * y)
