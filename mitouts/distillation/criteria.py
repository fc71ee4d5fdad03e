"""Judges a training image by the Teacher's prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from mitouts.distillation.base import Criterion, ThresholdSplit
from mitouts.errors import ConfigError
from mitouts.functional.distillation import (
    POLICIES,
    Policy,
    Verdict,
    judge_sample,
    least_distance_px,
    soft_weight,
)
from mitouts.registry import CRITERIA
from mitouts.structures import EvaluatedImage


@CRITERIA.register_module()
class CentroidDisagreement(Criterion):
    """Drops positives whose localized figures disagree with the annotated ones (Section 3.3 of the paper).

    Args:
        radius_px: The largest distance of a true prediction in pixels, inclusive.
        policy: ``any_true`` (the paper), ``no_false`` or ``perfect``; see
            :func:`mitouts.functional.distillation.judge_sample`.
        drop_image_errors: Drop first every image whose predicted label is wrong, as the authors' public code does.
        threshold_from: As for :class:`~mitouts.distillation.base.Criterion`; the authors' public code chooses on
            ``train``.
    """

    def __init__(
        self,
        radius_px: float = 30.0,
        policy: Policy = 'any_true',
        drop_image_errors: bool = False,
        threshold_from: ThresholdSplit = 'val',
    ) -> None:
        if not (math.isfinite(radius_px) and radius_px > 0):
            raise ConfigError(f'CentroidDisagreement: radius_px must be positive, found {radius_px}')
        if policy not in POLICIES:
            raise ConfigError(f'CentroidDisagreement: unknown policy {policy!r}; known are {", ".join(POLICIES)}')
        self.radius_px = float(radius_px)
        self.policy = policy
        self.drop_image_errors = drop_image_errors
        self.threshold_from = _checked(threshold_from, 'CentroidDisagreement')

    def judge(self, image: Mapping[str, Any], record: EvaluatedImage, *, image_threshold: float) -> Verdict:
        return judge_sample(
            record.prediction.points[:, :2],
            record.truth.points,
            label=record.truth.label,
            predicted_label=int(record.prediction.score > image_threshold),
            radius_px=self.radius_px,
            policy=self.policy,
            drop_image_errors=self.drop_image_errors,
            diagonal_px=record.truth.diagonal_px,
        )


@CRITERIA.register_module()
class SoftDisagreement(CentroidDisagreement):
    """Weighs positives by how far the localized figures are from the annotated ones, instead of dropping them.

    The weight of a sample in the Student's loss is ``1 / (1 + exp((d - tau) / s))`` of its least distance d: nearly 1
    where the Teacher agrees, one half at tau, nearly 0 far away and where nothing is localized. Negatives, and
    positives without annotated points, keep the weight 1.

    Args:
        radius_px: Tau in pixels.
        softness_px: s in pixels; towards 0 it becomes the policy ``any_true``.
        threshold_from: As for :class:`CentroidDisagreement`.
    """

    def __init__(
        self, radius_px: float = 30.0, softness_px: float = 10.0, threshold_from: ThresholdSplit = 'val'
    ) -> None:
        super().__init__(radius_px=radius_px, threshold_from=threshold_from)
        if not (math.isfinite(softness_px) and softness_px > 0):
            raise ConfigError(f'SoftDisagreement: softness_px must be positive, found {softness_px}')
        self.softness_px = float(softness_px)

    def judge(self, image: Mapping[str, Any], record: EvaluatedImage, *, image_threshold: float) -> Verdict:
        verdict = super().judge(image, record, image_threshold=image_threshold)
        if verdict.reason in ('negative', 'no_annotation'):
            return verdict
        weight = soft_weight(verdict.distance_px, radius_px=self.radius_px, softness_px=self.softness_px)
        return replace(verdict, keep=True, weight=weight)


@CRITERIA.register_module()
class PseudoLabel(Criterion):
    """Keeps every image and replaces its label with the teacher's (Table 6 of the paper).

    Args:
        threshold_from: As for :class:`CentroidDisagreement`.
    """

    compares_points = False

    def __init__(self, threshold_from: ThresholdSplit = 'val') -> None:
        self.threshold_from = _checked(threshold_from, 'PseudoLabel')

    def judge(self, image: Mapping[str, Any], record: EvaluatedImage, *, image_threshold: float) -> Verdict:
        return Verdict(
            keep=True,
            reason='pseudo_label',
            distance_px=least_distance_px(
                record.prediction.points[:, :2], record.truth.points, diagonal_px=record.truth.diagonal_px
            ),
            new_label=int(record.prediction.score > image_threshold),
        )


def _checked(threshold_from: ThresholdSplit, name: str) -> ThresholdSplit:
    known = get_args(ThresholdSplit)
    if threshold_from not in known:
        raise ConfigError(f'{name}: unknown threshold_from {threshold_from!r}; known are {", ".join(known)}')
    return threshold_from
