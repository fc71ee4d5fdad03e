"""Chooses thresholds anew for another domain, on a few labelled images of it.

The weights stay the same; it is the thresholds on the scores that transfer badly between scanners and laboratories. A
few labelled cases determine a threshold only roughly, so every choice is repeated on resampled cases to estimate its
uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mitouts.checkpoint import publish
from mitouts.errors import AnnotationError, ConfigError
from mitouts.evaluation.base import ThresholdSelector
from mitouts.evaluation.drift import measure_drift
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.evaluation.slide_threshold import FIGURES_PER_MM2, SlideThreshold, choose_slide_threshold
from mitouts.evaluation.thresholds import FixedThreshold, MaxF1Threshold, find_selector
from mitouts.functional.bootstrap import Interval, bootstrap_ci95
from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import upsample_map
from mitouts.functional.localization import precision_recall_f1
from mitouts.functional.matching import count_images
from mitouts.functional.points import map_peaks, mask_components
from mitouts.functional.thresholds import class_weights
from mitouts.models import WSSLocalizer
from mitouts.models.rotations import CHOSEN_KEY
from mitouts.registry import THRESHOLD_SELECTORS
from mitouts.structures import EvaluatedImage, PointSample
from mitouts.utils.defaults import CALIBRATION_BOOTSTRAP, OBJECTIVES, RADIUS_PX

MAX_CANDIDATES = 200
MIN_SCORE = 0.01
META_KEY = 'calibrated'

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Choice = Callable[[IntArray], float]
"""A threshold from the positions of images (or slides), some of them several times."""


@dataclass(frozen=True)
class ThresholdSettings:
    """Settings for choosing thresholds.

    Attributes:
        selector: Name or method of a threshold selector; ``fixed`` takes ``image_threshold`` and ``map_threshold``.
        objective: ``image``: both thresholds separate positive from negative images. ``localization``: the map
            threshold is the one whose points have the largest one-to-one F1.
        prevalence: Share of positive images at which F1 is to be largest; None takes the sample's own.
        image_threshold: Threshold for ``fixed``; None keeps the old one.
        map_threshold: Threshold for ``fixed``; None keeps the old one.
        figures_per_mm2: Number of figures per mm2 that a slide is assumed to hold, for the slide threshold.
        radius_px: Largest distance of a hit, at the model's resolution.
        num_bootstrap: Replicates of the intervals; 0 leaves them out.
        seed: Seed of the replicates.

    Raises:
        ConfigError: They contradict each other.
        UnknownComponentError: There is no such selector.
    """

    selector: str = 'max_f1'
    objective: str = 'image'
    prevalence: float | None = None
    image_threshold: float | None = None
    map_threshold: float | None = None
    figures_per_mm2: float = FIGURES_PER_MM2
    radius_px: float = RADIUS_PX
    num_bootstrap: int = CALIBRATION_BOOTSTRAP
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ConfigError(f'expected an objective of {", ".join(OBJECTIVES)}, found {self.objective!r}')
        if self.is_fixed == (self.image_threshold is None and self.map_threshold is None):
            raise ConfigError('the selector fixed takes image_threshold, map_threshold or both, the others take none')
        if self.prevalence is not None and not self._is_a(MaxF1Threshold):
            raise ConfigError(f'a prevalence changes the choice of max_f1 only, not that of {self.selector}')
        if self.objective == 'localization' and not self._is_a(MaxF1Threshold):
            raise ConfigError('the objective localization is an F1 itself: it goes with the selector max_f1')

    @property
    def is_fixed(self) -> bool:
        """Whether the thresholds are given, so that nothing needs to be chosen."""
        return self._is_a(FixedThreshold)

    def selector_config(self, key: str, old: float) -> dict[str, Any]:
        """Return the config of the selector for ``image_threshold`` or ``map_threshold``.

        Args:
            key: ``image_threshold`` or ``map_threshold``.
            old: The old threshold.
        """
        given = getattr(self, key)
        options: dict[str, Any] = {} if self.prevalence is None else {'prevalence': self.prevalence}
        if self.is_fixed:
            options['value'] = old if given is None else given
        return {'type': find_selector(self.selector), **options}

    def _is_a(self, kind: type[ThresholdSelector]) -> bool:
        return issubclass(find_selector(self.selector), kind)


@dataclass(frozen=True)
class Calibrated:
    """New thresholds chosen on labelled images, with their intervals and results.

    Attributes:
        calibration: The model's, with new thresholds and drift.
        intervals: ``image_threshold`` and ``map_threshold`` -> 95% interval over resampled cases, or None.
        results: Results under the new thresholds, on the very images they were chosen on.
        slides: The new threshold for slides; None where it is as it was.
    """

    calibration: dict[str, Any]
    intervals: dict[str, Interval | None]
    results: dict[str, Any]
    slides: SlideThreshold | None


def score_images(
    model: WSSLocalizer, samples: Sequence[PointSample], calibration: Mapping[str, Any], radius_px: float = RADIUS_PX
) -> dict[str, Any]:
    """Score predicted samples under a calibration; the results have ``image`` and ``one_to_one``."""
    evaluator = _evaluator(model, calibration, radius_px, thresholds='checkpoint')
    evaluator.calibration = dict(calibration)
    return _run(evaluator, samples)


def calibrate_images(
    model: WSSLocalizer, dataset: Any, samples: Sequence[PointSample], settings: ThresholdSettings
) -> Calibrated:
    """Choose thresholds on labelled images, and measure the drift anew, as a validation does.

    If there are too few points to measure a drift, that of the model is kept, since it depends on the network more than
    on the images.

    Args:
        model: The model with its old calibration.
        dataset: Gives the images again, turned for the drift.
        samples: Samples of :func:`~mitouts.evaluation.predicting.predict_dataset` to choose on.
        settings: The settings.

    Raises:
        AnnotationError: The images are of one class only, or the objective needs points and none is annotated.
        ConfigError: The objective needs a score map, and the model has none.
    """
    if settings.objective == 'localization' and model.geometry is None:
        raise ConfigError(f"the objective 'localization' needs a score map, and a {type(model).__name__} has none")
    old = model.calibration
    names = ('image_threshold', 'map_threshold')
    selectors = [settings.selector_config(name, old[name]) for name in names]

    def run(map_threshold: dict[str, Any]) -> LocalizationEvaluator:
        evaluator = _evaluator(
            model,
            old,
            settings.radius_px,
            thresholds='select',
            image_threshold=selectors[0],
            map_threshold=map_threshold,
        )
        evaluator.measure_drift = partial(_drift_or_old, model, dataset, tuple(old.get('drift_px', (0.0, 0.0))))
        _run(evaluator, samples)
        return evaluator

    evaluator = run(selectors[1])
    records = evaluator.records
    labels = np.array([record.truth.label for record in records])
    values = [np.array([getattr(record.prediction, key) for record in records]) for key in ('score', 'map_max')]
    choices: list[Choice] = [
        partial(_select, THRESHOLD_SELECTORS.build(each), *pair)
        for each, pair in zip(selectors, ((values[0], labels), (values[1], labels)))
    ]
    if settings.objective == 'localization':
        if not any(len(record.truth.counted_points) for record in records):
            raise AnnotationError(
                "the objective 'localization' needs annotated points, and the images at hand have labels only: use "
                "the objective 'image'"
            )
        maps = {sample.img_id: sample.pred_map.numpy() for sample in samples}
        curve = LocalizationCurve.of(records, maps, model, evaluator.calibration, settings)
        choices[1] = curve.choose
        evaluator = run(dict(type='FixedThreshold', value=curve.choose(np.arange(len(records)))))
    cases = [record.truth.case_id for record in records]
    intervals = {
        name: None if settings.is_fixed else bootstrap_interval(choice, cases, settings)
        for name, choice in zip(names, choices)
    }
    slides = None
    if not settings.is_fixed and model.geometry is not None:
        slides = choose_slide_threshold(records, settings.figures_per_mm2)
    kept = old
    if CHOSEN_KEY in old:
        # What was chosen on maps of another number of turns has been chosen again, or is forgotten.
        kept = {key: value for key, value in old.items() if key != CHOSEN_KEY and not key.startswith('slide_threshold')}
    calibration = {**kept, **evaluator.calibration, **({} if slides is None else slides.to_dict())}
    return Calibrated(calibration, intervals, evaluator.results, slides)


@dataclass(frozen=True, eq=False)
class LocalizationCurve:
    """Counts of true and false positives and misses of each image at several thresholds.

    Attributes:
        thresholds: ``(T,)``, ascending.
        counts: ``(T, N, 3)``: ``tp, fp, fn`` of each image.
        weights: ``(N,)``, what an image counts.
    """

    thresholds: FloatArray
    counts: IntArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        records: Sequence[EvaluatedImage],
        maps: Mapping[int, NDArray[np.float32]],
        model: WSSLocalizer,
        calibration: Mapping[str, Any],
        settings: ThresholdSettings,
    ) -> LocalizationCurve:
        """Count hits at every threshold, reading the points anew: components split, vanish and move with the cut.

        The thresholds lie between the heights of the maps' peaks. A positive image without an annotated point has
        weight 0, since the places of its figures are unknown.
        """
        truths = [record.truth for record in records]
        peaks = [
            map_peaks(maps[truth.image_id], model.geometry, truth.height, truth.width, MIN_SCORE)[:, 2]
            for truth in truths
        ]
        thresholds = candidate_thresholds(np.concatenate(peaks))
        points: list[list[FloatArray]] = [[] for _ in thresholds]
        for truth in truths:
            full = upsample_map(maps[truth.image_id], truth.height, truth.width, model.geometry)
            for found, threshold in zip(points, thresholds):
                components = mask_components(
                    full, threshold, min_area_px=calibration['min_area_px'], centroid=calibration['centroid']
                )
                found.append(remove_drift(components, calibration['drift_px'], truth.width, truth.height)[:, :2])
        figures, ignored = [truth.counted_points for truth in truths], [truth.ignored for truth in truths]
        counts = [
            count_images(found, figures, settings.radius_px, protocol='one_to_one', ignored_xy=ignored)
            for found in points
        ]
        labels = np.array([truth.label for truth in truths])
        is_scored = np.array([truth.is_located for truth in truths])
        weights = np.where(is_scored, class_weights(labels == 1, settings.prevalence), 0.0)
        return cls(thresholds, np.stack(counts), weights)

    def f1(self, chosen: IntArray) -> FloatArray:
        """Compute F1 at each threshold over the images at these positions, ``(T,)``."""
        tp, fp, fn = np.einsum('tnc,n->ct', self.counts[:, chosen], self.weights[chosen])
        return precision_recall_f1(tp, fp, fn)[2]

    def choose(self, chosen: IntArray) -> float:
        """Return the threshold with the largest F1 on these images."""
        return middle_of_best(self.thresholds, self.f1(chosen))


def candidate_thresholds(scores: ArrayLike, most: int = MAX_CANDIDATES) -> FloatArray:
    """Return thresholds midway between neighbouring distinct scores, and one above all; ascending.

    Where there are more than ``most``, half of those kept are spread evenly over the ranks and half over the values:
    most scores are low, and few thresholds matter there.

    Raises:
        AnnotationError: There is no score.
    """
    levels = np.unique(np.asarray(scores, dtype=np.float64))
    if not len(levels):
        raise AnnotationError('nothing was found that a threshold could be chosen for')
    thresholds = (levels + np.append(levels[1:], max(1.0, levels[-1]))) / 2
    if len(thresholds) <= most:
        return thresholds
    by_rank = np.linspace(0, len(thresholds) - 1, most - most // 2).round().astype(int)
    by_value = np.searchsorted(thresholds, np.linspace(thresholds[0], thresholds[-1], most // 2))
    return thresholds[np.union1d(by_rank, by_value)]


def middle_of_best(thresholds: FloatArray, criterion: FloatArray) -> float:
    """Return the threshold with the largest criterion; of several in a row, the middle of the widest row."""
    best = np.flatnonzero(np.isclose(criterion, criterion.max(), rtol=1e-12, atol=1e-12))
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    run = thresholds[max(runs, key=lambda run: thresholds[run[-1]] - thresholds[run[0]])]
    return float(run[np.argmin(np.abs(run - (run[0] + run[-1]) / 2))])


def bootstrap_interval(choose: Choice, cases: Sequence[str], settings: ThresholdSettings) -> Interval | None:
    """Compute the 95% percentile interval of a chosen threshold over resampled cases (Efron 1979).

    Replicates that hold one class only are left out, since no threshold can be chosen on them.

    Args:
        choose: The choice.
        cases: The case of each image.
        settings: Number of replicates, and their seed.

    Returns:
        None with one case, or where less than half of the replicates choose something.
    """
    names, position = np.unique(np.asarray(cases, dtype=str), return_inverse=True)
    members = [np.flatnonzero(position == number) for number in range(len(names))]

    def replicate(drawn: IntArray) -> FloatArray:
        return np.array([_choose_or_nan(choose, np.concatenate([members[case] for case in row])) for row in drawn])

    return bootstrap_ci95(
        replicate, len(names), num_bootstrap=settings.num_bootstrap, seed=settings.seed, one_by_one=True
    )


def calibrated_checkpoint(
    checkpoint: Mapping[str, Any],
    source: str | Path,
    calibration: Mapping[str, Any],
    provenance: Mapping[str, Any],
    adapted: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """Return a checkpoint in published form with another calibration; weights other than adapted batch norms are kept.

    Args:
        checkpoint: As it was read.
        source: File of the checkpoint, for errors.
        calibration: The new calibration.
        provenance: How the new calibration was made.
        adapted: State dict of the model whose batch norms were adapted: their statistics are taken over.
    """
    old = checkpoint['meta']['mitouts']
    kept = ('image_threshold', 'map_threshold', 'slide_threshold', 'drift_px', 'rotations')
    record = {**provenance, 'old': {key: old[key] for key in kept if key in old}}
    if META_KEY in old:
        record['earlier'] = old[META_KEY]
    meta = {**checkpoint['meta'], 'mitouts': {**calibration, META_KEY: record}}
    state = dict(checkpoint['state_dict'])
    if adapted is not None:
        state |= {key: adapted[key].cpu() for key in state if key.endswith(('running_mean', 'running_var'))}
    return publish({'meta': meta, 'state_dict': state}, source)


def _drift_or_old(model: WSSLocalizer, dataset: Any, old: Interval, *args: Any) -> Interval:
    measured = measure_drift(model, dataset, *args)
    return measured if any(measured) else old


def _evaluator(
    model: WSSLocalizer, calibration: Mapping[str, Any], radius_px: float, **options: Any
) -> LocalizationEvaluator:
    metrics: list[dict[str, Any]] = [
        dict(type='ImageMetric'),
        dict(type='CentroidMetric', radius_px=radius_px, protocols=['one_to_one']),
    ]
    evaluator = LocalizationEvaluator(
        metrics,
        min_area_px=calibration.get('min_area_px', 1),
        centroid=calibration.get('centroid', 'geometric'),
        min_score=MIN_SCORE,
        **options,
    )
    evaluator.geometry = model.geometry
    return evaluator


def _run(evaluator: LocalizationEvaluator, samples: Sequence[PointSample]) -> dict[str, Any]:
    evaluator.process(samples)
    evaluator.evaluate(len(samples))
    return evaluator.results


def _select(selector: ThresholdSelector, values: FloatArray, labels: IntArray, chosen: IntArray) -> float:
    return selector(values[chosen], labels[chosen])


def _choose_or_nan(choose: Choice, chosen: IntArray) -> float:
    try:
        return choose(chosen)
    except ValueError:
        return math.nan
