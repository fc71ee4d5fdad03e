"""Measures how well predicted points localize annotated ones: counts, precision, recall, F1, free-response curves.

A ratio whose denominator is 0 is 0.0; where no annotated point could be found at all, the
scores of a set of images are None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.bootstrap import bootstrap_ci95, sum_by_case
from mitouts.functional.matching import count_images, has_neighbour, match_images_by_score
from mitouts.functional.point_arrays import as_points
from mitouts.functional.ratios import ratio
from mitouts.utils.records import plain_fields

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LocalizationScores:
    """Scores over a set of images, micro-averaged.

    Attributes:
        protocol: ``one_to_one`` or ``presence``.
        tp: True positives. Under ``presence`` these are predictions, so ``tp + fn`` need not be the annotations.
        fp: False positives.
        fn: Missed annotations.
        precision: ``tp / (tp + fp)``. None, as recall and F1, where nothing is annotated: there is nothing to find.
        recall: ``tp / (tp + fn)``.
        f1: Harmonic mean of precision and recall.
        f1_ci95: 95% percentile bootstrap interval of F1 over cases; None where it is not available (one case only,
            cases unknown, or nothing annotated).
    """

    protocol: str
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    f1_ci95: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return plain_fields(self)


class FrocCurve(NamedTuple):
    """A free-response curve, one entry a threshold, from the strictest (no prediction counts) to the loosest (all do).

    Attributes:
        thresholds: ``(T,)`` descending; a prediction counts when its score is > the threshold.
        sensitivity: ``(T,)`` share of the annotations that are found.
        fp_per_image: ``(T,)`` false positives per image.
        precision: ``(T,)``.
    """

    thresholds: FloatArray
    sensitivity: FloatArray
    fp_per_image: FloatArray
    precision: FloatArray


def score_localization(
    points: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    *,
    radius_px: float | Sequence[float],
    threshold: float,
    protocol: str = 'one_to_one',
    ignored: Sequence[ArrayLike] | None = None,
    cases: Sequence[str] | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> LocalizationScores:
    """Score the points above a threshold, over all images.

    Args:
        points: ``(P, 3)`` predicted points ``(x, y, score)`` in pixels, an array for each image.
        truths: ``(G, 2)`` annotated points in pixels, an array for each image.
        radius_px: The largest distance of a hit in pixels, inclusive: one for all images, or one for each.
        threshold: A prediction counts when its score is > this.
        protocol: ``one_to_one`` or ``presence``, see :mod:`mitouts.functional.matching`.
        ignored: ``(I, 2)`` points in pixels, an array for each image: an unmatched prediction within the radius of one
            is not a false positive.
        cases: The case of each image, which the interval is taken over.
        num_bootstrap: Number of replicates; 0 leaves the interval out.
        seed: Seed of the replicates.

    Raises:
        ValueError: The sequences differ in length, an array has a wrong shape or holds NaN, or the protocol is unknown.
    """
    counts = count_points(points, truths, radius_px=radius_px, threshold=threshold, protocol=protocol, ignored=ignored)
    return scores_from_counts(counts, protocol=protocol, cases=cases, num_bootstrap=num_bootstrap, seed=seed)


def count_points(
    points: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    *,
    radius_px: float | Sequence[float],
    threshold: float,
    protocol: str = 'one_to_one',
    ignored: Sequence[ArrayLike] | None = None,
) -> IntArray:
    """Count the points above a threshold, image by image; the arguments are those of :func:`score_localization`.

    Returns:
        ``(N, 3)`` int64: ``tp, fp, fn`` of each image.
    """
    counted = [array[array[:, 2] > threshold, :2] for array in (as_points(scored, 3) for scored in points)]
    return count_images(counted, truths, radius_px, protocol=protocol, ignored_xy=ignored)


def scores_from_counts(
    counts: IntArray,
    *,
    protocol: str,
    cases: Sequence[str] | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> LocalizationScores:
    """Sum the counts of images and add the interval over their cases.

    Args:
        counts: ``(N, 3)`` int64: ``tp, fp, fn`` of each image.
        protocol: The protocol they were counted under.
        cases: The case of each image.
        num_bootstrap: Number of replicates; 0 leaves the interval out.
        seed: Seed of the replicates.

    Raises:
        ValueError: There are not as many cases as images.
    """
    tp, fp, fn = counts.sum(axis=0).tolist()
    if cases is not None and len(cases) != len(counts):
        raise ValueError(f'expected a case for each of {len(counts)} images, found {len(cases)}')
    # Under either protocol an annotated point is found or missed.
    if tp + fn == 0:
        return LocalizationScores(protocol, tp, fp, fn, None, None, None, None)
    precision, recall, f1 = (float(value) for value in precision_recall_f1(tp, fp, fn))
    interval = None
    if cases is not None:
        interval = bootstrap_f1_ci95(counts, cases, num_bootstrap=num_bootstrap, seed=seed)
    return LocalizationScores(protocol, tp, fp, fn, precision, recall, f1, interval)


def precision_recall_f1(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute precision, recall and F1 elementwise; each is 0.0 where its denominator is 0.

    F1 is ``2 tp / (2 tp + fp + fn)``, which equals ``2 P R / (P + R)``.

    >>> [float(value) for value in precision_recall_f1(tp=3, fp=1, fn=3)]
    [0.75, 0.5, 0.6]
    """
    tp, fp, fn = (np.asarray(value, dtype=np.float64) for value in (tp, fp, fn))
    return ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2.0 * tp, 2.0 * tp + fp + fn)


def bootstrap_f1_ci95(
    counts: IntArray, cases: Sequence[str], *, num_bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Compute the 95% percentile interval of F1 under resampling of cases (Efron 1979).

    Images of one case are not independent, so whole cases are drawn: a replicate weighs the cases' counts with a
    multinomial draw.

    Args:
        counts: ``(N, 3)`` int64: ``tp, fp, fn`` of each image.
        cases: The case of each image.
        num_bootstrap: Number of replicates.
        seed: Seed of the draws.

    Returns:
        The 2.5th and the 97.5th percentile, or None with fewer than two cases or no replicates.
    """
    _, by_case = sum_by_case(counts, cases)
    return bootstrap_ci95(
        lambda weights: precision_recall_f1(*(weights @ by_case).T)[2],
        len(by_case), num_bootstrap=num_bootstrap, seed=seed,
    )  # fmt: skip


def froc_curve(
    points: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    *,
    radius_px: float | Sequence[float],
    ignored: Sequence[ArrayLike] | None = None,
) -> FrocCurve:
    """Compute the free-response curve over all thresholds from one matching.

    The matching is greedy in score: predictions choose in descending score, each takes the nearest unused annotation
    within the radius (the Grand Challenge rule). What the predictions above a threshold take does not depend on the
    others, so the whole curve needs a single pass; at a given threshold it may find slightly fewer annotations than the
    largest matching that :func:`score_localization` counts.

    The arguments and errors are those of :func:`score_localization`.
    """
    scored = [as_points(array, 3) for array in points]
    matches = match_images_by_score(scored, truths, radius_px)
    sizes = np.array([len(array) for array in scored], dtype=np.int64)
    scores = np.concatenate([array[:, 2] for array in scored]) if scored else np.zeros(0)
    is_hit = np.zeros(len(scores), dtype=bool)
    is_hit[(np.cumsum(sizes) - sizes)[matches.image_index] + matches.pred_index] = True
    if ignored is not None:
        # A prediction that takes no annotation takes none away from others either: it can be left out of the curve.
        counts = is_hit | ~has_neighbour([array[:, :2] for array in scored], ignored, radius_px)
        scores, is_hit = scores[counts], is_hit[counts]

    order = np.argsort(-scores, kind='stable')
    descending = scores[order]
    # Predictions of equal score enter together: only the last of each run is a point of the curve.
    last = np.flatnonzero(np.diff(descending, append=-np.inf))
    tp = np.concatenate([[0], np.cumsum(is_hit[order])[last]])
    fp = np.concatenate([[0], last + 1]) - tp
    num_truths = sum(len(np.asarray(truth)) for truth in truths)
    precision, recall, _ = precision_recall_f1(tp, fp, num_truths - tp)
    return FrocCurve(
        thresholds=_cuts(descending[last]),
        sensitivity=recall,
        fp_per_image=ratio(fp, len(scored)),
        precision=precision,
    )


def average_sensitivity(froc: FrocCurve, fp_per_image: Sequence[float] = (0.25, 0.5, 1, 2, 4, 8)) -> float:
    """Average the sensitivity at given numbers of false positives an image (the CAMELYON16 score).

    Between two points of the curve the sensitivity is interpolated linearly; beyond its end it stays at the last value.
    """
    return float(np.mean(sensitivity_at(froc, fp_per_image)))


def sensitivity_at(froc: FrocCurve, fp_per_image: Sequence[float]) -> FloatArray:
    """Interpolate the sensitivity at given numbers of false positives per image."""
    # Where the curve rises vertically, its upper end counts.
    last = np.flatnonzero(np.diff(froc.fp_per_image, append=np.inf))
    return np.interp(fp_per_image, froc.fp_per_image[last], froc.sensitivity[last])


def _cuts(descending: FloatArray) -> FloatArray:
    """Return thresholds for a strict comparison: above all scores first, then just below each distinct score."""
    if not len(descending):
        return np.zeros(1)
    return np.concatenate([descending, [np.nextafter(descending[-1], -np.inf)]])
