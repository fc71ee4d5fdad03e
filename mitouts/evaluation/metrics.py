"""Scores images and points; the maths is in :mod:`mitouts.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mitouts.errors import AnnotationError, ConfigError
from mitouts.evaluation.base import Metric
from mitouts.functional.image_level import image_scores
from mitouts.functional.localization import (
    average_sensitivity,
    froc_curve,
    score_localization,
    sensitivity_at,
)
from mitouts.registry import METRICS
from mitouts.structures import EvaluatedImage, ImageTruth
from mitouts.utils.defaults import PROTOCOLS

DEFAULT_RADIUS_PX = 30.0
FROC_FP_PER_IMAGE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@METRICS.register_module()
class ImageMetric(Metric):
    """Computes image-level AUC, F1, accuracy, precision and recall, under the key ``image``."""

    def __call__(
        self, records: Sequence[EvaluatedImage], *, image_threshold: float, map_threshold: float
    ) -> dict[str, dict[str, Any]]:
        """Score the images; see :func:`mitouts.functional.image_level.image_scores`."""
        scores = image_scores(
            [record.prediction.score for record in records], [record.truth.label for record in records], image_threshold
        )
        return {'image': scores.to_dict()}


@METRICS.register_module()
class CentroidMetric(Metric):
    """Scores localization: precision, recall and F1 with an interval over cases, and a free-response curve.

    The first radius' results are under ``one_to_one``, ``presence`` and ``froc``, those of further ones under
    ``one_to_one@15px`` and so on. Each block names its radius.

    Args:
        radius_px: The largest distance of a hit in pixels, inclusive, or several; 30 if no radius is given at all.
        radius_um: The same in micrometres, instead of ``radius_px``; every image must have its ``mpp`` then.
        protocols: ``one_to_one``, ``presence`` or both.
        num_bootstrap: Replicates of the interval; 0 leaves it out.
        seed: Seed of the replicates.
    """

    def __init__(
        self,
        radius_px: float | Sequence[float] | None = None,
        radius_um: float | Sequence[float] | None = None,
        protocols: Sequence[str] = PROTOCOLS,
        num_bootstrap: int = 1000,
        seed: int = 0,
    ) -> None:
        if radius_px is not None and radius_um is not None:
            raise ConfigError('CentroidMetric: give radius_px or radius_um, not both')
        self.unit = 'px' if radius_um is None else 'um'
        radius = radius_um if radius_um is not None else DEFAULT_RADIUS_PX if radius_px is None else radius_px
        self.radii = tuple(float(each) for each in (radius if isinstance(radius, Sequence) else [radius]))
        if not self.radii or min(self.radii) <= 0 or len(set(self.radii)) < len(self.radii):
            raise ConfigError(f'CentroidMetric: expected distinct positive radii, found {radius!r}')
        unknown = [protocol for protocol in protocols if protocol not in PROTOCOLS]
        if unknown:
            raise ConfigError(f'CentroidMetric: unknown protocol {unknown[0]!r}; known are {", ".join(PROTOCOLS)}')
        if num_bootstrap < 0:
            raise ConfigError(f'CentroidMetric: num_bootstrap must be at least 0, found {num_bootstrap}')
        self.protocols = tuple(protocols)
        self.num_bootstrap = num_bootstrap
        self.seed = seed

    def __call__(
        self, records: Sequence[EvaluatedImage], *, image_threshold: float, map_threshold: float
    ) -> dict[str, dict[str, Any]]:
        """Score the points above ``map_threshold``.

        Positive images without a single annotated point (labelled as images only) cannot be scored and are left out.
        A prediction near a figure that is counted in another patch is neither true nor false.

        Returns:
            A block for each protocol and radius, and ``froc`` over all thresholds: the average sensitivity and the
            sensitivity at each number of false positives an image. Ratios, intervals and curves are None where no
            point is annotated; where that is because positive images are labelled only, so are the counts.

        Raises:
            AnnotationError: The radius is in micrometres and an image has no ``mpp``.
        """
        has_points = any(len(record.truth.points) for record in records)
        is_labelled_only = not has_points and not all(record.truth.is_located for record in records)
        records = [record for record in records if record.truth.is_located]
        results: dict[str, dict[str, Any]] = {}
        for radius in self.radii:
            suffix = '' if radius == self.radii[0] else f'@{radius:g}{self.unit}'
            radius_px = self._radius_px(records, radius)
            for protocol in self.protocols:
                scores = score_localization(
                    [record.prediction.points for record in records],
                    [record.truth.counted_points for record in records],
                    ignored=[record.truth.ignored for record in records],
                    radius_px=radius_px,
                    threshold=map_threshold,
                    protocol=protocol,
                    cases=[record.truth.case_id for record in records],
                    num_bootstrap=self.num_bootstrap,
                    seed=self.seed,
                )
                uncounted = dict.fromkeys(('tp', 'fp', 'fn')) if is_labelled_only else {}
                results[protocol + suffix] = scores.to_dict() | uncounted | {'radius': f'{radius:g} {self.unit}'}
            results['froc' + suffix] = {**_froc(records, radius_px), 'radius': f'{radius:g} {self.unit}'}
        return results

    def _radius_px(self, records: Sequence[EvaluatedImage], radius: float) -> float | list[float]:
        if self.unit == 'px':
            return radius
        return [radius / _mpp(record.truth) for record in records]


def _mpp(image: ImageTruth) -> float:
    if image.mpp is None:
        raise AnnotationError(
            f'image {image.image_id} (case {image.case_id}) has no mpp, which a radius in micrometres needs; '
            'add it to the annotation file or give the radius in pixels'
        )
    return image.mpp


def _froc(records: Sequence[EvaluatedImage], radius_px: float | list[float]) -> dict[str, Any]:
    if not any(len(record.truth.counted_points) for record in records):
        return {'average_sensitivity': None, 'fp_per_image': list(FROC_FP_PER_IMAGE), 'sensitivity': None}
    curve = froc_curve(
        [record.prediction.curve_points for record in records],
        [record.truth.counted_points for record in records],
        ignored=[record.truth.ignored for record in records],
        radius_px=radius_px,
    )
    return {
        'average_sensitivity': average_sensitivity(curve, FROC_FP_PER_IMAGE),
        'fp_per_image': list(FROC_FP_PER_IMAGE),
        'sensitivity': sensitivity_at(curve, FROC_FP_PER_IMAGE).tolist(),
    }
