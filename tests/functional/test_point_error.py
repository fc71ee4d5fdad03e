"""Errors of annotated points: their lengths have the quantiles that were asked for, their directions are even."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mitouts.functional.point_error import GAUSSIAN_P95, PointError

COUNT = 100_000


@pytest.mark.parametrize(('median_px', 'p95_px'), [(11.0, 26.0), (11.0, None), (2.0, 3.0), (5.0, 40.0)])
def test_lengths_have_the_quantiles_that_were_asked_for(median_px: float, p95_px: float | None) -> None:
    shifts = PointError(median_px, p95_px).draw(COUNT, np.random.default_rng(0))
    lengths = np.hypot(shifts[:, 0], shifts[:, 1])
    expected = GAUSSIAN_P95 * median_px if p95_px is None else p95_px
    assert np.median(lengths) == pytest.approx(median_px, rel=0.02)
    assert np.percentile(lengths, 95) == pytest.approx(expected, rel=0.02)


def test_with_a_median_alone_both_coordinates_are_gaussian() -> None:
    shifts = PointError(11.0).draw(COUNT, np.random.default_rng(1))
    sigma = 11 / stats.rayleigh.median()
    for axis in range(2):
        assert stats.kstest(shifts[:, axis], stats.norm(scale=sigma).cdf).pvalue > 0.01
    assert pytest.approx(stats.rayleigh(scale=sigma).ppf(0.95)) == 11 * GAUSSIAN_P95


def test_directions_are_even() -> None:
    shifts = PointError(11.0, 26.0).draw(COUNT, np.random.default_rng(2))
    angles = np.arctan2(shifts[:, 1], shifts[:, 0])
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ('lengths', 'message'),
    [
        ((0.0,), 'the median of an error must be a positive number of pixels, found 0.0'),
        ((float('nan'),), 'must be a positive number'),
        ((11.0, 11.0), r'the 95th percentile of an error must be above its median of 11 px, found 11\.0'),
        ((11.0, float('inf')), 'must be above its median'),
    ],
)
def test_lengths_that_make_no_sense(lengths: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointError(*lengths)
