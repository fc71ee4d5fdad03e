"""What a pipeline step is."""

from __future__ import annotations

from typing import Any


class Transform:
    """A step from a dict to a dict.

    Keys: ``img`` uint8 ``(H, W, 3)`` RGB, ``gt_points`` float32 ``(G, 2)``, ``gt_label`` 0 or 1, ``label_given``
    (whether the label comes from the file rather than from the points), ``augmentation_seed``, and the metainfo of
    :class:`~mitouts.structures.PointSample`.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError
