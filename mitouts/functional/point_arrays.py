"""Checks arrays of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_points(
    values: ArrayLike, columns: int = 2, name: str = 'points', *, drop_rest: bool = False
) -> NDArray[np.float64]:
    """Check points, one a row.

    Args:
        values: ``(N, columns)``, or anything empty.
        columns: Numbers of a point: 2 for ``x, y``, 3 with a score.
        name: Name of the points in errors.
        drop_rest: Drop further columns instead of refusing them.

    Returns:
        ``(N, columns)`` float64.

    Raises:
        ValueError: The shape is another, or a number is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, columns))
    if drop_rest and array.ndim == 2:
        array = array[:, :columns]
    if array.ndim != 2 or array.shape[1] != columns:
        numbers = 'x, y' if columns == 2 else 'x, y, score'
        raise ValueError(f'{name}: expected an array of shape (N, {columns}) with {numbers}, found {np.shape(values)}')
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f'{name}: expected finite numbers, found {array[~finite][0].tolist()}')
    return array
