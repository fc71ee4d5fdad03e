"""Divides elementwise, with a default where the denominator is 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(above: ArrayLike, below: ArrayLike, undefined: float = 0.0) -> NDArray[np.float64]:
    """Return ``above / below`` elementwise, and ``undefined`` where ``below`` is not positive.

    >>> ratio([3, 1], [4, 0]).tolist()
    [0.75, 0.0]
    """
    top, bottom = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, undefined), where=bottom > 0)
