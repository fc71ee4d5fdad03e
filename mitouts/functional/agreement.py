"""Measures how well predicted counts agree with reference counts: correlation, Bland-Altman, least-squares line.

Pairs with a NaN are left out. With fewer than three pairs, nothing is available (None); with fewer
than four, no interval is. A correlation with constant values is not available either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import rankdata

from mitouts.functional.bootstrap import Interval, bootstrap_ci95
from mitouts.utils.defaults import NUM_BOOTSTRAP
from mitouts.utils.records import plain_fields

FloatArray = NDArray[np.float64]

MIN_PAIRS = 3
MIN_PAIRS_FOR_INTERVALS = 4
LARGEST = 1e100
"""Largest absolute value allowed: beyond it, squares and sums overflow double precision."""

_Z95 = 1.959963984540054
# Values that differ by less than this share of their size differ by rounding only.
_CONSTANT = 1e-13
# A coefficient that differs less from 1 or -1 differs by rounding only.
_PERFECT = 1e-14


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient with its 95% intervals; None means "not available"."""

    value: float | None
    ci95_fisher: Interval | None
    ci95_bootstrap: Interval | None

    def to_dict(self, symbol: str) -> dict[str, Any]:
        """Return plain values, ready for JSON, the coefficient under ``symbol``."""
        fields = plain_fields(self)
        return {symbol: fields.pop('value'), **fields}


@dataclass(frozen=True)
class BlandAltman:
    """Differences ``y - x`` (Bland and Altman 1999).

    Attributes:
        bias: Mean difference.
        bias_ci95: ``bias +- t sd / sqrt(n)``.
        sd: Standard deviation of the differences (n - 1).
        limits: Limits of agreement, ``bias +- 1.96 sd``: 95% of normally distributed differences lie between them.
        lower_limit_ci95: Interval of the lower limit, ``+- t sd sqrt(1 / n + 1.96^2 / (2 (n - 1)))``.
        upper_limit_ci95: Interval of the upper limit.
    """

    bias: float
    bias_ci95: Interval | None
    sd: float
    limits: Interval
    lower_limit_ci95: Interval | None
    upper_limit_ci95: Interval | None


@dataclass(frozen=True)
class Line:
    """``y = slope * x + intercept``."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Agreement:
    """Agreement between two columns of paired values; None means "not available".

    Attributes:
        n: Number of pairs.
        pearson: Correlation of the values.
        spearman: Correlation of the ranks.
        bland_altman: Analysis of the differences ``y - x``.
        line: Least-squares line of ``y`` on ``x``.
    """

    n: int
    pearson: Correlation
    spearman: Correlation
    bland_altman: BlandAltman | None
    line: Line | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        coefficients = {'pearson': self.pearson.to_dict('r'), 'spearman': self.spearman.to_dict('rho')}
        return plain_fields(self) | coefficients


def agreement(x: ArrayLike, y: ArrayLike, *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0) -> Agreement:
    """Compute both correlations, the Bland-Altman limits and the line.

    Args:
        x: ``(N,)`` reference, one value a slide.
        y: ``(N,)`` prediction.
        num_bootstrap: Replicates of the bootstrap intervals; 0 leaves them out.
        seed: Seed of the replicates.

    Raises:
        ValueError: The lengths differ, or a value is infinite or beyond 1e100.
    """
    x, y = as_pairs(x, y)
    return Agreement(
        n=len(x),
        pearson=pearson(x, y, num_bootstrap=num_bootstrap, seed=seed),
        spearman=spearman(x, y, num_bootstrap=num_bootstrap, seed=seed),
        bland_altman=bland_altman(x, y),
        line=least_squares_line(x, y),
    )


def pearson(x: ArrayLike, y: ArrayLike, *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0) -> Correlation:
    """Compute Pearson's r.

    ``ci95_fisher`` is ``tanh(atanh(r) +- 1.96 / sqrt(n - 3))`` (Fisher 1921); ``ci95_bootstrap`` the 2.5th and 97.5th
    percentile of r over resampled slides (Efron 1979). Replicates with constant values are left out; where these are
    more than half, there is no interval. The arguments are those of :func:`agreement`.
    """
    x, y = as_pairs(x, y)
    value = _coefficient(x, y)
    interval = None if value is None else _fisher_ci95(value, len(x), 1.0)
    return Correlation(value, interval, _bootstrap_ci95(x, y, num_bootstrap, seed, by_rank=False))


def spearman(x: ArrayLike, y: ArrayLike, *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0) -> Correlation:
    """Compute Spearman's rho: Pearson's r of the ranks, where equal values share their mean rank.

    ``ci95_fisher`` has the standard error of Bonett and Wright (2000), ``sqrt((1 + rho^2 / 2) / (n - 3))``, on the
    scale of ``atanh(rho)``; it keeps its coverage up to strong correlations, where that of Fieller et al. (1957),
    ``sqrt(1.06 / (n - 3))``, is too short. The bootstrap ranks every replicate anew. The arguments are those of
    :func:`agreement`.
    """
    x, y = as_pairs(x, y)
    value = _coefficient(rankdata(x), rankdata(y))
    interval = None if value is None else _fisher_ci95(value, len(x), 1 + value**2 / 2)
    return Correlation(value, interval, _bootstrap_ci95(x, y, num_bootstrap, seed, by_rank=True))


def bland_altman(x: ArrayLike, y: ArrayLike) -> BlandAltman | None:
    """Compare two measurements of the same quantity in the same unit by their differences ``y - x``."""
    x, y = as_pairs(x, y)
    n = len(x)
    if n < MIN_PAIRS:
        return None
    difference = y - x
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    low, high = bias - _Z95 * sd, bias + _Z95 * sd
    if n < MIN_PAIRS_FOR_INTERVALS:
        return BlandAltman(bias, None, sd, (low, high), None, None)
    t = float(stdtrit(n - 1, 0.975))
    of_bias = t * sd / math.sqrt(n)
    of_limit = t * sd * math.sqrt(1 / n + _Z95**2 / (2 * (n - 1)))
    return BlandAltman(
        bias=bias,
        bias_ci95=(bias - of_bias, bias + of_bias),
        sd=sd,
        limits=(low, high),
        lower_limit_ci95=(low - of_limit, low + of_limit),
        upper_limit_ci95=(high - of_limit, high + of_limit),
    )


def least_squares_line(x: ArrayLike, y: ArrayLike) -> Line | None:
    """Fit ``y = slope * x + intercept`` by least squares in y; None with constant ``x``."""
    x, y = as_pairs(x, y)
    if len(x) < MIN_PAIRS or bool(_is_constant(x)):
        return None
    centred = x - x.mean()
    # Scaled, so that the squares of tiny or huge values neither vanish nor overflow.
    size = np.abs(centred).max()
    scaled_slope = float((centred / size) @ (y - y.mean()) / ((centred / size) @ (centred / size)))
    slope = scaled_slope / float(size)
    return Line(slope, float(y.mean()) - slope * float(x.mean())) if math.isfinite(slope) else None


def as_pairs(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Check two columns and drop the pairs in which either value is NaN.

    Args:
        x: ``(N,)``.
        y: ``(N,)``.

    Returns:
        ``(M,)`` float64 each.

    Raises:
        ValueError: The shapes differ, or a value is infinite or beyond 1e100.
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f'expected two columns of one length, found shapes {first.shape} and {second.shape}')
    for values in (first, second):
        if (np.abs(values) > LARGEST).any():
            raise ValueError(f'expected values up to {LARGEST:g}, found {values[np.abs(values) > LARGEST][0]}')
    known = ~(np.isnan(first) | np.isnan(second))
    return first[known], second[known]


def _is_constant(values: FloatArray) -> NDArray[np.bool_]:
    """Tell whether all values along the last axis are equal, apart from rounding."""
    return np.ptp(values, axis=-1) <= _CONSTANT * np.abs(values).max(axis=-1)


def _coefficient(x: FloatArray, y: FloatArray) -> float | None:
    if len(x) < MIN_PAIRS:
        return None
    value = float(correlation_of_rows(x[None], y[None])[0])
    return None if math.isnan(value) else value


def correlation_of_rows(x: FloatArray, y: FloatArray) -> FloatArray:
    """Compute Pearson's r of each row of ``(B, N)`` arrays: ``(B,)``, NaN where either is constant."""
    defined = ~(_is_constant(x) | _is_constant(y))
    r = np.full(len(x), np.nan)
    first, second = (_standardized(values[defined]) for values in (x, y))
    r[defined] = (first * second).sum(axis=1)
    return np.where(np.abs(r) > 1 - _PERFECT, np.sign(r), r)


def _standardized(values: FloatArray) -> FloatArray:
    centred = values - values.mean(axis=1, keepdims=True)
    centred /= np.abs(centred).max(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=1, keepdims=True))


def _fisher_ci95(value: float, n: int, variance_factor: float) -> Interval | None:
    """Compute the interval ``z +- 1.96 sqrt(variance_factor / (n - 3))`` on Fisher's z scale; a point for r = +-1."""
    if n < MIN_PAIRS_FOR_INTERVALS:
        return None
    if abs(value) >= 1:
        return value, value
    z, half = math.atanh(value), _Z95 * math.sqrt(variance_factor / (n - 3))
    return math.tanh(z - half), math.tanh(z + half)


def _bootstrap_ci95(x: FloatArray, y: FloatArray, num_bootstrap: int, seed: int, *, by_rank: bool) -> Interval | None:
    def replicate(drawn: NDArray[np.int64]) -> FloatArray:
        pairs = (x[drawn], y[drawn])
        return (
            correlation_of_rows(*(rankdata(values, axis=1) for values in pairs))
            if by_rank
            else correlation_of_rows(*pairs)
        )

    if len(x) < MIN_PAIRS_FOR_INTERVALS:
        return None
    return bootstrap_ci95(replicate, len(x), num_bootstrap=num_bootstrap, seed=seed, one_by_one=True)
