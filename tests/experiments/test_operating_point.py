"""The best threshold against a table of all pairs of points."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mitouts.experiments.operating_point import best_threshold

FloatArray = NDArray[np.float64]
RADIUS_PX = 30.0


def _dense_presence(
    points: list[FloatArray], truths: list[FloatArray], ignored: list[FloatArray]
) -> tuple[float, float]:
    """The highest of the best thresholds and its F1, each image by its whole tables of distances."""
    rows = []
    for found, truth, places in zip(points, truths, ignored):
        near = np.linalg.norm(found[:, None, :2] - truth[None], axis=2) <= RADIUS_PX
        excused = (np.linalg.norm(found[:, None, :2] - places[None], axis=2) <= RADIUS_PX).any(axis=1)
        rows.append((found[:, 2], near, excused))
    scores = np.unique(np.concatenate([np.zeros(0), *(each[0] for each in rows)]))
    cuts = [*scores, np.nextafter(scores[0], -np.inf)] if len(scores) else [0.0]
    best = (-1.0, 0.0)
    for cut in sorted(cuts):
        tp = fp = fn = 0
        for score, near, excused in rows:
            above = score > cut
            hits = near.any(axis=1)
            tp += int((above & hits).sum())
            fp += int((above & ~hits & ~excused).sum())
            fn += int((~near[above].any(axis=0)).sum())
        precision, recall = tp / max(tp + fp, 1), tp / max(tp + fn, 1)
        best = max(best, (2 * precision * recall / max(precision + recall, 1e-300), float(cut)))
    return best[1], best[0]


steps = st.integers(0, 8).map(lambda step: 6.0 * step)
places = st.lists(st.tuples(steps, steps), max_size=5)
image = st.tuples(
    st.lists(st.tuples(steps, steps, st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])), max_size=7), places, places
)


@settings(max_examples=150)
@given(images=st.lists(image, min_size=1, max_size=4))
def test_best_presence_threshold_is_that_of_all_pairs(images: list) -> None:
    points, truths, ignored = (
        [np.array(each[part], dtype=np.float64).reshape(-1, columns) for each in images]
        for part, columns in ((0, 3), (1, 2), (2, 2))
    )
    found = best_threshold(points, truths, radius_px=RADIUS_PX, protocol='presence', ignored=ignored)
    assert found == _dense_presence(points, truths, ignored)[0]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_best_presence_threshold_on_scattered_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, truths, ignored = [], [], []
    for _ in range(20):
        truth = rng.uniform(0, 500, (rng.integers(0, 9), 2))
        beside = truth + rng.normal(0, 20, truth.shape)
        xy = np.concatenate([beside, rng.uniform(0, 500, (12, 2))])
        points.append(np.column_stack([xy, rng.random(len(xy))]))
        truths.append(truth)
        ignored.append(rng.uniform(0, 500, (2, 2)))
    found = best_threshold(points, truths, radius_px=RADIUS_PX, protocol='presence', ignored=ignored)
    assert found == _dense_presence(points, truths, ignored)[0]


def test_memory_is_not_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 50_000, (5_000, 2))
    xy = np.concatenate([truth, rng.uniform(0, 50_000, (10_000, 2))])
    points = np.column_stack([xy, rng.random(len(xy))])
    tracemalloc.start()
    best_threshold([points], [truth], radius_px=RADIUS_PX, protocol='presence', ignored=[np.zeros((0, 2))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A table of all pairs alone would hold 600 MB.
    assert peak < 50e6
