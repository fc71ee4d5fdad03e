"""Joins the predictions of a stage with its test annotations, and counts them per case at any radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import MitoutsError
from mitouts.experiments.operating_point import best_threshold
from mitouts.experiments.suite_results import StageResult
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco
from mitouts.formats.image_truths import image_truths
from mitouts.formats.predictions import Predictions, read_predictions
from mitouts.functional.average_precision import box_average_precision
from mitouts.functional.bootstrap import sum_by_case
from mitouts.functional.localization import average_sensitivity, count_points, froc_curve
from mitouts.structures import EvaluatedImage, EvaluatedImages, ImageTruth
from mitouts.utils.files import file_sha256

FloatArray = NDArray[np.float64]
Rule = Literal['shared', 'best']
BOX_PX = 50.0
"""Side of the boxes around points, as in the annotation files."""


@dataclass(frozen=True)
class CaseCounts:
    """Counts of one stage, case by case.

    Attributes:
        cases: ``(C,)`` names of the cases, sorted.
        counts: ``(C, 3)`` int64: ``tp, fp, fn`` of each.
        threshold: The threshold on the points' scores that they were counted at.
    """

    cases: NDArray[np.str_]
    counts: NDArray[np.int64]
    threshold: float


class CaseCounter:
    """Counts stages and caches the counts; every annotation file is read once.

    Args:
        root: Folder that relative annotation paths are relative to; the one that the runs were started in.
    """

    def __init__(self, root: str | Path = '.') -> None:
        self.root = Path(root)
        self._annotations: dict[tuple[Path, tuple[int, ...]], dict[int, ImageTruth]] = {}
        self._hashes: dict[Path, str] = {}
        self._counts: dict[tuple[Path, float, str, str], CaseCounts] = {}
        self._froc: dict[tuple[Path, float], float] = {}
        self._precision: dict[Path, dict[str, float | None]] = {}
        self._last: tuple[Path, EvaluatedImages] | None = None

    def images(self, stage: StageResult) -> EvaluatedImages:
        """Join a stage's predictions with its test annotations.

        Raises:
            MitoutsError: ``results.json`` does not name the annotation file, the file has changed since the run, or
                predictions and annotations are not of the same images.
        """
        if self._last is None or self._last[0] != stage.folder:
            self._last = stage.folder, self._join(stage)
        return self._last[1]

    def counts(
        self, stage: StageResult, *, radius_px: float = 30.0, protocol: str = 'one_to_one', rule: Rule = 'shared'
    ) -> CaseCounts:
        """Count a stage's test images, case by case.

        Args:
            radius_px: The largest distance of a hit in pixels, inclusive.
            protocol: ``one_to_one`` or ``presence``.
            rule: ``shared``: the threshold that the run chose on its validation images. ``best``: the one with the
                largest F1 on these very test images, which no one can know beforehand.

        Raises:
            MitoutsError: See :meth:`images`; or the counts are not those that the run itself has found.
        """
        key = (stage.folder, radius_px, protocol, rule)
        if key not in self._counts:
            images = self.images(stage).located()
            threshold = images.map_threshold
            if rule == 'best':
                threshold = best_threshold(
                    images.points, images.truths, radius_px=radius_px, protocol=protocol, ignored=images.ignored
                )
            per_image = count_points(
                images.points,
                images.truths,
                radius_px=radius_px,
                threshold=threshold,
                protocol=protocol,
                ignored=images.ignored,
            )
            if rule == 'shared':
                _check_against_run(stage, per_image, radius_px, protocol)
            self._counts[key] = CaseCounts(*sum_by_case(per_image, images.cases), threshold)
        return self._counts[key]

    def has_figures(self, stage: StageResult) -> bool:
        """Whether the test images of a stage have annotated figures; otherwise its localization cannot be scored.

        Raises:
            MitoutsError: See :meth:`images`.
        """
        return any(map(len, self.images(stage).truths))

    def froc_score(self, stage: StageResult, *, radius_px: float = 30.0) -> float:
        """Compute the average sensitivity at 0.25 to 8 false positives per image, over all thresholds."""
        key = (stage.folder, radius_px)
        if key not in self._froc:
            images = self.images(stage).located()
            curve = froc_curve(images.curve_points, images.truths, radius_px=radius_px, ignored=images.ignored)
            self._froc[key] = average_sensitivity(curve)
        return self._froc[key]

    def average_precision(self, stage: StageResult) -> dict[str, float | None]:
        """Compute COCO's ``ap`` and ``ap50`` of 50 px boxes around the points; None if nothing is annotated.

        Raises:
            MitoutsError: See :meth:`images`; or they are not those that the run itself has found.
        """
        if stage.folder not in self._precision:
            images = self.images(stage).located()
            # Of equal scores the first image's comes first: the order is the evaluator's.
            ordered = sorted(images.images, key=lambda image: image.truth.image_id)
            images = replace(images, images=tuple(ordered))
            found = box_average_precision(images.curve_points, images.truths, images.ignored, box_px=BOX_PX)
            _check_precision_against_run(stage, found)
            self._precision[stage.folder] = found
        return self._precision[stage.folder]

    def annotation_path(self, stage: StageResult) -> Path:
        """Return the annotation file that a stage was tested on.

        Raises:
            MitoutsError: ``results.json`` does not name it.
        """
        if not stage.row.get('test_ann_file'):
            raise MitoutsError(
                f'{stage.folder.parent / "results.json"}: stage {stage.name} has no "test_ann_file", so its '
                'predictions cannot be scored; run it again with --resume, which writes the file anew'
            )
        return self.root / stage.row['test_ann_file']

    def _join(self, stage: StageResult) -> EvaluatedImages:
        path = self.annotation_path(stage)
        self._check_unchanged(stage, path)
        annotations = self._read(path, tuple(stage.row.get('positive_categories', (MITOTIC_FIGURE,))))
        predictions = read_predictions(stage.predictions_path)
        _check_images(stage, path, annotations, predictions)
        thresholds = {}
        for name in ('image_threshold', 'map_threshold'):
            value = stage.row.get(name)
            value = predictions.info.get(name) if value is None else value
            if value is None:
                raise MitoutsError(f'{stage.predictions_path}: neither info nor results.json has {name}')
            thresholds[name] = float(value)
        images = [
            EvaluatedImage(truth, predictions.images[image_id])
            for image_id, truth in annotations.items()
            if image_id in predictions.images
        ]
        return EvaluatedImages(tuple(images), **thresholds)

    def _read(self, path: Path, categories: tuple[int, ...]) -> dict[int, ImageTruth]:
        key = (path, categories)
        if key not in self._annotations:
            truths = image_truths(read_coco(path), categories)
            self._annotations[key] = {image_id: truth.in_float32() for image_id, truth in truths.items()}
        return self._annotations[key]

    def _check_unchanged(self, stage: StageResult, path: Path) -> None:
        expected = stage.started.get('fingerprint', {}).get('test_dataloader')
        if expected is None or not path.is_file():
            return
        if path not in self._hashes:
            self._hashes[path] = file_sha256(path)
        if self._hashes[path] != expected:
            raise MitoutsError(
                f'{path} is not the file that {stage.folder} was tested on (its SHA-256 differs from that in '
                'started.json): restore it, or run the stage again'
            )


def _check_images(
    stage: StageResult, path: Path, annotations: Mapping[int, ImageTruth], predictions: Predictions
) -> None:
    unknown = sorted(set(predictions.images) - set(annotations))
    if unknown:
        raise MitoutsError(
            f'{stage.predictions_path}: {len(unknown)} of {len(predictions.images)} image ids, the first is '
            f'{unknown[0]}, are not in {path}: it is not the file that the stage was tested on'
        )
    expected = stage.row.get('test_images')
    if expected is not None and expected != len(predictions.images):
        raise MitoutsError(
            f'{stage.predictions_path} holds {len(predictions.images)} images, but results.json says that '
            f'{expected} were tested: run the stage again'
        )


def _check_against_run(stage: StageResult, per_image: NDArray[np.int64], radius_px: float, protocol: str) -> None:
    """Check that the counts equal those of the run itself at this radius, if it has any."""
    for key, block in stage.row.items():
        if key.partition('@')[0] != protocol or not block or block.get('radius') != f'{radius_px:g} px':
            continue
        found, expected = per_image.sum(axis=0).tolist(), [block[name] for name in ('tp', 'fp', 'fn')]
        if found != expected:
            raise MitoutsError(
                f'{stage.folder}: counted tp, fp, fn = {found} under {protocol} at {radius_px:g} px, but results.json '
                f'says {expected}: predictions or annotations have changed since; run the stage again'
            )


def _check_precision_against_run(stage: StageResult, found: Mapping[str, float | None]) -> None:
    """Check that the average precision equals that of the run itself, if it has any."""
    own = stage.row.get('coco') or {}
    expected = np.array([own.get(key) for key in found], dtype=float)
    close = np.isclose(expected, np.array(list(found.values()), dtype=float), rtol=1e-9, atol=1e-9, equal_nan=True)
    if own.get('box_px') == BOX_PX and not close.all():
        raise MitoutsError(
            f'{stage.folder}: found ap, ap50 = {found["ap"]}, {found["ap50"]}, but results.json says {own["ap"]}, '
            f'{own["ap50"]}: predictions or annotations have changed since; run the stage again'
        )
