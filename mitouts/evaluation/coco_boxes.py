"""Computes COCO's average precision beside the centroid metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mitouts.errors import ConfigError
from mitouts.evaluation.base import Metric
from mitouts.functional.average_precision import box_average_precision
from mitouts.registry import METRICS
from mitouts.structures import EvaluatedImage


@METRICS.register_module()
class CocoBoxMetric(Metric):
    """Computes the average precision of equal square boxes around the predicted points, under the key ``coco``.

    Every point becomes a box of the annotations' size, whether it is a detector's box or a peak of a score map, so that
    the value can be computed for every model.

    Args:
        box_px: Side of the boxes in pixels, of predictions and annotations.
    """

    def __init__(self, box_px: float = 50.0) -> None:
        if not box_px > 0:
            raise ConfigError(f'CocoBoxMetric: box_px must be positive, found {box_px!r}')
        self.box_px = float(box_px)

    def __call__(
        self, records: Sequence[EvaluatedImage], *, image_threshold: float, map_threshold: float
    ) -> dict[str, dict[str, Any]]:
        """Score all points; the thresholds are ignored.

        Positive images without a single annotated point (labelled as images only) cannot be scored and are left out.
        Figures that are counted in another patch are crowd regions.

        Returns:
            ``coco``: ``ap`` (IoU .50 to .95), ``ap50`` (both None where nothing is annotated) and ``box_px``.
        """
        records = [record for record in records if record.truth.is_located]
        precision = box_average_precision(
            [record.prediction.curve_points for record in records],
            [record.truth.counted_points for record in records],
            [record.truth.ignored for record in records],
            box_px=self.box_px,
        )
        return {'coco': {**precision, 'box_px': self.box_px}}
