"""Distils an annotation file: drops what the Teacher disagrees with, and writes the rest."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from mitouts.distillation import Control, Criterion, Verdict
from mitouts.engine import runs
from mitouts.engine.config import explained
from mitouts.errors import AnnotationWarning, ConfigError
from mitouts.formats.coco import MITOTIC_FIGURE, image_root, read_coco, write_json
from mitouts.formats.hard_samples import sample_entry
from mitouts.registry import CRITERIA, DATASETS
from mitouts.structures import EvaluatedImage
from mitouts.utils.config_files import config_name
from mitouts.utils.defaults import Split
from mitouts.utils.files import file_sha256
from mitouts.utils.ranks import together

DISTILLED_NAME = 'distilled.json'
HARD_SAMPLES_NAME = 'hard_samples.json'


@dataclass(frozen=True)
class Distillation:
    """Result of the step.

    Attributes:
        distilled: The annotation file that the Student trains on.
        hard_samples: Verdict, reason, score, points and distance of every image.
        summary: ``kept``, ``dropped``, ``relabelled``, and where the truth is known ``noise_dropped``,
            ``noise_total``, ``clean_kept``, ``clean_total`` (positive images). Where a criterion compares points and
            positive images have none: ``not_compared`` of ``positives``. With soft weights also ``weighted``, the kept
            images that weigh less than 1, and sums of weights, 0 for a dropped image: ``weight_sum``, and where the
            truth is known ``noise_weight_sum`` and ``clean_weight_sum``.
    """

    distilled: Path
    hard_samples: Path
    summary: dict[str, float]


def distill(
    config: Config,
    checkpoint: str | Path | None,
    out_dir: str | Path,
    *,
    launcher: str = 'none',
    split: Split = 'train',
) -> Distillation:
    """Predict the un-augmented training images, judge each, and write the clean set.

    Args:
        config: The Teacher's config; its ``distillation.criterion`` judges.
        checkpoint: The Teacher; None for a criterion that looks at no prediction, such as ``OracleNoise``.
        out_dir: Gets ``distilled.json`` and ``hard_samples.json``.
        launcher: Ranks share the images; rank 0 writes.
        split: ``train``, or ``val`` to distil the validation images (the authors' public code does).

    Raises:
        ConfigError: The config names no criterion, no such data or no annotation file, the criterion has other
            arguments, or it needs a checkpoint.
    """
    criterion = criterion_of(config)
    loader = config.get(f'{split}_dataloader')
    if loader is None:
        raise ConfigError(
            f'config {config_name(config.filename)} has no {split}_dataloader, whose images are to be '
            f'judged{runs.staged_hint(config)}'
        )
    source = loader.dataset
    ann_file = runs.annotation_file_of(config, split)
    document = mark_look_alikes(read_coco(ann_file), source.get('positive_categories', (MITOTIC_FIGURE,)))
    images = {image['id']: image for image in document['images']}
    records: list[EvaluatedImage] = []
    thresholds: tuple[float, float] | None = None
    if isinstance(criterion, Control):
        labels = _labels(source)
        verdicts = criterion.judge_all({image_id: images[image_id] for image_id in labels}, labels)
    else:
        if checkpoint is None:
            raise ConfigError(f'{type(criterion).__name__} judges by predictions: give the checkpoint of a Teacher')
        run = runs.evaluate(_on_images(config, criterion, split), checkpoint, Path(out_dir), launcher=launcher)
        thresholds = run.results['image_threshold'], run.results['map_threshold']
        records = [_figures_only(record, thresholds[1]) for record in run.records]
        labels = {record.truth.image_id: record.truth.label for record in records}
        verdicts = {
            record.truth.image_id: criterion.judge(images[record.truth.image_id], record, image_threshold=thresholds[0])
            for record in records
        }
    summary = summarize(document, verdicts, labels)
    positive = [image_id for image_id, label in labels.items() if label == 1]
    if positive and not any(verdicts[image_id].keep for image_id in positive):
        warnings.warn(
            f'all {len(positive)} positive images were dropped, so no Student can be trained on what is left: train '
            'the Teacher for longer, or choose another criterion',
            AnnotationWarning,
            stacklevel=2,
        )
    seen = {record.truth.image_id: record for record in records}
    samples = [
        sample_entry(images[image_id], labels[image_id], verdict, seen.get(image_id))
        for image_id, verdict in verdicts.items()
    ]
    if isinstance(criterion, Criterion) and criterion.compares_points:
        summary |= not_compared(samples)
    provenance = provenance_of(config, ann_file, document, split, Path(out_dir))
    if thresholds is not None:
        provenance['teacher_sha256'] = file_sha256(str(checkpoint))
        provenance['image_threshold'], provenance['map_threshold'] = thresholds
    return write_distillation(document, verdicts, samples, provenance, summary, Path(out_dir))


def provenance_of(
    config: Config, ann_file: Path, document: Mapping[str, Any], split: Split, out_dir: Path
) -> dict[str, Any]:
    """Return what the files of a distillation say of their origin; that of a Teacher and its thresholds is None."""
    root = image_root(ann_file, document, config[f'{split}_dataloader'].dataset.get('data_root')).resolve()
    return {
        'distilled_from': ann_file.name,
        'source_sha256': file_sha256(ann_file),
        'teacher_sha256': None,
        'criterion': dict(config.distillation.criterion),
        'image_threshold': None,
        'map_threshold': None,
        'image_root': os.path.relpath(root, out_dir.resolve()),
    }


def write_distillation(
    document: dict[str, Any],
    verdicts: dict[int, Verdict],
    samples: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    summary: dict[str, float],
    out_dir: Path,
) -> Distillation:
    """Write the clean set and the hard samples, on rank 0.

    Args:
        document: The annotation file that was distilled.
        verdicts: Image id -> verdict.
        samples: Entries of :func:`mitouts.formats.hard_samples.sample_entry`.
        provenance: Result of :func:`provenance_of`, perhaps with more.
        summary: See :class:`Distillation`.
        out_dir: Gets both files.
    """
    result = Distillation(out_dir / DISTILLED_NAME, out_dir / HARD_SAMPLES_NAME, summary)
    scores = {sample['image_id']: sample['score'] for sample in samples if 'score' in sample}
    with together():
        if is_main_process():
            write_json(result.distilled, clean_document(document, verdicts, dict(provenance), scores))
            write_json(result.hard_samples, {'info': {**provenance, 'summary': summary}, 'images': list(samples)})
    return result


def criterion_of(config: Config) -> Criterion | Control:
    """Build the criterion that a config names.

    Raises:
        ConfigError: It names none, or one with other arguments.
    """
    settings = config.get('distillation')
    if not settings or 'criterion' not in settings:
        raise ConfigError(
            f'config {config_name(config.filename)} has no distillation.criterion'
            + (
                runs.staged_hint(config)
                or ": inherit '_base_/distillation.py', or pass --cfg-options "
                '+distillation.criterion.type=CentroidDisagreement'
            )
        )
    with runs.located(config), explained(config, 'distillation.criterion'):
        criterion: Criterion | Control = CRITERIA.build_kind(settings.criterion, Criterion, Control)
        return criterion


def mark_look_alikes(document: dict[str, Any], positive_categories: Collection[int]) -> dict[str, Any]:
    """Mark the images that are positive by look-alikes alone as noise, where look-alikes count as positives.

    A file that marks noise itself, and images with a label of their own, are left as they are.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it.
        positive_categories: Ids of the categories that count as positive.

    Returns:
        The document with ``is_noise`` on the images without any mitotic figure, whole or cut, whose positive points are
        look-alikes.
    """
    others = set(positive_categories) - {MITOTIC_FIGURE}
    known = any('is_noise' in image for image in document['images'])
    if known or not others or MITOTIC_FIGURE not in positive_categories:
        return document
    annotations = document['annotations']
    mitotic = {each['image_id'] for each in annotations if each['category_id'] == MITOTIC_FIGURE}
    look_alikes = {each['image_id'] for each in annotations if each['category_id'] in others and not each.get('cut')}
    noisy = look_alikes - mitotic
    images = [
        {**image, 'is_noise': True} if image['id'] in noisy and image.get('label') is None else image
        for image in document['images']
    ]
    return {**document, 'images': images}


def clean_document(
    document: dict[str, Any],
    verdicts: dict[int, Verdict],
    provenance: dict[str, Any],
    scores: Mapping[int, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the annotation file without dropped images, with new labels and weights where verdicts have them.

    Each image carries the Teacher's image score as ``teacher_score``, where ``scores`` has one.
    """
    images = []
    for image in document['images']:
        verdict = verdicts.get(image['id'])
        if verdict is None or not verdict.keep:
            continue
        changed: dict[str, Any] = {} if verdict.new_label is None else {'label': int(verdict.new_label)}
        if verdict.weight != 1:
            changed['weight'] = image.get('weight', 1.0) * verdict.weight
        if image['id'] in scores:
            changed['teacher_score'] = scores[image['id']]
        images.append({**image, **changed})
    kept = {image['id'] for image in images}
    info = dict(document.get('info', {}))
    info['mitouts'] = {**info.get('mitouts', {}), **provenance}
    return {
        **document,
        'info': info,
        'images': images,
        'annotations': [item for item in document['annotations'] if item['image_id'] in kept],
    }


def summarize(document: dict[str, Any], verdicts: dict[int, Verdict], labels: dict[int, int]) -> dict[str, float]:
    """Summarize a distillation (see :class:`Distillation`); if the file marks noise, it is counted over positives."""
    kept = {image_id for image_id, verdict in verdicts.items() if verdict.keep}
    weights = {image_id: verdict.weight if verdict.keep else 0.0 for image_id, verdict in verdicts.items()}
    weighted = [image_id for image_id in kept if weights[image_id] != 1]
    summary: dict[str, float] = {'kept': len(kept), 'dropped': len(verdicts) - len(kept)}
    if weighted:
        summary |= {'weighted': len(weighted), 'weight_sum': _sum(weights, kept)}
    changed = [i for i, verdict in verdicts.items() if verdict.new_label not in (None, labels[i])]
    if changed:
        summary['relabelled'] = len(changed)
    positive = {image_id for image_id, label in labels.items() if label == 1}
    noisy = {image['id'] for image in document['images'] if image.get('is_noise')} & positive
    if noisy:
        clean = positive - noisy
        summary |= {
            'noise_dropped': len(noisy - kept),
            'noise_total': len(noisy),
            'clean_kept': len(clean & kept),
            'clean_total': len(clean),
        }
        if weighted:
            summary |= {'noise_weight_sum': _sum(weights, noisy), 'clean_weight_sum': _sum(weights, clean)}
    return summary


def not_compared(samples: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Count the positive samples without an annotated point, which have no distance; empty if all have one."""
    positive = [sample for sample in samples if sample['label'] == 1]
    missing = sum('distance_px' in sample and sample['distance_px'] is None for sample in positive)
    return {'not_compared': missing, 'positives': len(positive)} if missing else {}


def _sum(weights: Mapping[int, float], image_ids: Collection[int]) -> float:
    return round(math.fsum(weights[image_id] for image_id in image_ids if image_id in weights), 4)


def _on_images(config: Config, criterion: Criterion, split: Split) -> Config:
    """Return a config that predicts the images to judge, and chooses the thresholds that the criterion needs."""
    changed = runs.on_split(config, split)
    if criterion.threshold_from == 'train':
        changed.test_evaluator = {**changed.val_evaluator, 'metrics': []}
    return changed


def _figures_only(record: EvaluatedImage, map_threshold: float) -> EvaluatedImage:
    """Return the record without the points below the map threshold."""
    return replace(record, prediction=replace(record.prediction, points=record.prediction.above(map_threshold)))


def _labels(source: Mapping[str, Any]) -> dict[int, int]:
    """Return the label of each image of a data set by image id."""
    dataset = DATASETS.build({**source, 'pipeline': []})
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {info['img_id']: info['gt_label'] for info in infos}
