"""The step from one annotation file to another: what the Teacher disagrees with is dropped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process

from mitouts.distillation.criteria import Verdict
from mitouts.engine import runs
from mitouts.errors import ConfigError
from mitouts.evaluation.records import ImageRecord
from mitouts.exchange.coco import image_root, read_coco, write_json
from mitouts.registry import TASK_UTILS
from mitouts.utils.files import file_sha256

DISTILLED_NAME = 'distilled.json'
HARD_SAMPLES_NAME = 'hard_samples.json'


@dataclass(frozen=True)
class Distillation:
    """Result of the step.

    Attributes:
        distilled: The annotation file that the Student trains on.
        hard_samples: Verdict, reason, score, points and distance of every image.
        summary: ``kept``, ``dropped``, ``relabelled``, and where the truth is known ``noise_dropped``,
            ``noise_total``, ``clean_kept``, ``clean_total`` (positive images).
    """

    distilled: Path
    hard_samples: Path
    summary: dict[str, int]


def distill(config: Config, checkpoint: str | Path, out_dir: str | Path, *, launcher: str = 'none') -> Distillation:
    """Predict the un-augmented training images, judge each, and write the clean set.

    Args:
        config: The Teacher's config; its ``distillation.criterion`` judges.
        checkpoint: The Teacher.
        out_dir: Gets ``distilled.json`` and ``hard_samples.json``.
        launcher: Ranks share the images; rank 0 writes.

    Raises:
        ConfigError: The config names no criterion or no training data.
    """
    settings = config.get('distillation')
    if not settings or 'criterion' not in settings:
        raise ConfigError(
            f"config {config.filename} has no distillation.criterion: inherit '_base_/distillation.py', "
            'or pass --cfg-options +distillation.criterion.type=CentroidDisagreement'
        )
    with runs.located(config):
        criterion = TASK_UTILS.build(settings.criterion)
    out_dir = Path(out_dir)
    run = runs.evaluate(_on_training_images(config, criterion), checkpoint, out_dir, launcher=launcher)
    thresholds = run.results['image_threshold'], run.results['map_threshold']
    ann_file = Path(config.train_dataloader.dataset.ann_file)
    document = read_coco(ann_file)
    images = {image['id']: image for image in document['images']}
    verdicts = {
        record.image_id: _judge(criterion, images[record.image_id], record, thresholds) for record in run.records
    }
    summary = summarize(document, verdicts, {record.image_id: record.label for record in run.records})
    result = Distillation(out_dir / DISTILLED_NAME, out_dir / HARD_SAMPLES_NAME, summary)
    if is_main_process():
        root = image_root(ann_file, document, config.train_dataloader.dataset.get('data_root')).resolve()
        provenance = {
            'distilled_from': ann_file.name,
            'source_sha256': file_sha256(ann_file),
            'teacher_sha256': file_sha256(checkpoint),
            'criterion': dict(settings.criterion),
            'image_threshold': thresholds[0],
            'map_threshold': thresholds[1],
            'image_root': os.path.relpath(root, out_dir.resolve()),
        }
        write_json(result.distilled, clean_document(document, verdicts, provenance))
        samples = [
            _sample(images[record.image_id], record, verdicts[record.image_id], thresholds[1]) for record in run.records
        ]
        write_json(result.hard_samples, {'info': {**provenance, 'summary': summary}, 'images': samples})
    return result


def clean_document(
    document: dict[str, Any], verdicts: dict[int, Verdict], provenance: dict[str, Any]
) -> dict[str, Any]:
    """The annotation file without the dropped images, with new labels where a verdict has one."""
    images = []
    for image in document['images']:
        verdict = verdicts.get(image['id'])
        if verdict is None or not verdict.keep:
            continue
        label = getattr(verdict, 'new_label', None)
        images.append(image if label is None else {**image, 'label': int(label)})
    kept = {image['id'] for image in images}
    info = dict(document.get('info', {}))
    info['mitouts'] = {**info.get('mitouts', {}), **provenance}
    return {
        **document,
        'info': info,
        'images': images,
        'annotations': [item for item in document['annotations'] if item['image_id'] in kept],
    }


def summarize(document: dict[str, Any], verdicts: dict[int, Verdict], labels: dict[int, int]) -> dict[str, int]:
    """Counts of a distillation; noise is counted over positive images where the file marks it (``is_noise``)."""
    kept = {image_id for image_id, verdict in verdicts.items() if verdict.keep}
    summary = {'kept': len(kept), 'dropped': len(verdicts) - len(kept)}
    changed = [i for i, verdict in verdicts.items() if getattr(verdict, 'new_label', None) not in (None, labels[i])]
    if changed:
        summary['relabelled'] = len(changed)
    noisy = {image['id'] for image in document['images'] if image.get('is_noise')} & verdicts.keys()
    if noisy:
        clean = {image_id for image_id, label in labels.items() if label == 1} - noisy
        summary |= {
            'noise_dropped': len(noisy - kept),
            'noise_total': len(noisy),
            'clean_kept': len(clean & kept),
            'clean_total': len(clean),
        }
    return summary


def _on_training_images(config: Config, criterion: Any) -> Config:
    """The test part of the config, pointed at the training images, without augmentation."""
    changed = Config(config._cfg_dict.to_dict(), filename=config.filename)
    dataset = changed.train_dataloader.dataset.to_dict()
    dataset['pipeline'] = changed.test_dataloader.dataset.pipeline
    changed.test_dataloader.dataset = dataset
    if getattr(criterion, 'threshold_from', 'val') == 'train':
        changed.test_evaluator = changed.val_evaluator
    changed.test_evaluator.metrics = []
    return changed


def _judge(criterion: Any, image: dict[str, Any], record: ImageRecord, thresholds: tuple[float, float]) -> Verdict:
    predicted = record.points[record.points[:, 2] > thresholds[1], :2]
    info = {**image, 'label': record.label}
    return criterion.judge(info, predicted, record.truth, score=record.score, image_threshold=thresholds[0])


def _sample(image: dict[str, Any], record: ImageRecord, verdict: Verdict, map_threshold: float) -> dict[str, Any]:
    points = record.points[record.points[:, 2] > map_threshold]
    return {
        'image_id': record.image_id,
        'file_name': image['file_name'],
        'case_id': record.case_id,
        'label': record.label,
        'verdict': 'keep' if verdict.keep else 'drop',
        'reason': str(verdict.reason),
        'score': record.score,
        'distance_px': float(verdict.distance_px),
        'predicted_points': np.round(points, 4).tolist(),
        'annotated_points': np.round(record.truth, 4).tolist(),
    }
