"""Divides a training set into folds by case, and merges what the Teachers of the folds say of the others' cases."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.distillation import Verdict
from mitouts.engine import runs
from mitouts.engine.distill import (
    DISTILLED_NAME,
    HARD_SAMPLES_NAME,
    Distillation,
    criterion_of,
    mark_look_alikes,
    not_compared,
    provenance_of,
    summarize,
    write_distillation,
)
from mitouts.errors import ConfigError
from mitouts.formats.coco import MITOTIC_FIGURE, image_root, read_coco, read_json, write_json
from mitouts.formats.hard_samples import read_hard_samples
from mitouts.functional.case_folds import case_folds
from mitouts.registry import DATASETS
from mitouts.utils.words import plural

TRAIN, VAL, JUDGED = 'train', 'val', 'judged'


@dataclass(frozen=True)
class Fold:
    """The cases of a fold, and the files of its Teacher.

    Attributes:
        cases: Cases that the fold's Teacher judges, and neither trains nor validates on.
        folder: Work dir of the Teacher; gets what :func:`mitouts.engine.distill.distill` writes.
        files: ``train``, ``judged``, and where the validation images have some of the cases ``val`` -> annotation file.
    """

    cases: list[str]
    folder: Path
    files: dict[str, Path]


def write_folds(config: Config, folds: int, out_dir: Path) -> list[Fold]:
    """Divide the cases of the training images, balanced by positive images, and write the files of each fold.

    Args:
        config: The Teacher's config.
        folds: Number of folds.
        out_dir: Gets a folder ``fold_1``, ``fold_2``, ... for each fold.

    Raises:
        ConfigError: There are fewer cases than folds, or a fold would leave no image for training or validation.
    """
    positives: dict[str, int] = {}
    for info in _infos(config, 'train'):
        positives[info['case_id']] = positives.get(info['case_id'], 0) + int(info['gt_label'] == 1)
    if not 2 <= folds <= len(positives):
        raise ConfigError(
            f'config {config.filename}: {folds} folds by case need 2 to {len(positives)} folds: the training images '
            f'have {plural(len(positives), "case")}'
        )
    validated = [info['case_id'] for info in _infos(config, 'val')] if config.get('val_dataloader') else []
    divided = []
    for number, cases in enumerate(case_folds(positives, folds), start=1):
        folder = out_dir / f'fold_{number}'
        files = {
            TRAIN: _write_part(config, 'train', folder / 'train.json', cases, inside=False),
            JUDGED: _write_part(config, 'train', folder / 'judged.json', cases, inside=True),
        }
        if set(validated) & set(cases):
            if set(validated) <= set(cases):
                raise ConfigError(
                    f'config {config.filename}: without the cases of fold {number} ({", ".join(cases)}) no image is '
                    'left to validate its Teacher on: take fewer cases a fold, or validation images of more cases'
                )
            files[VAL] = _write_part(config, 'val', folder / 'val.json', cases, inside=False)
        divided.append(Fold(cases, folder, files))
    return divided


def _infos(config: Config, split: str) -> list[dict[str, Any]]:
    dataset = DATASETS.build({**config[f'{split}_dataloader'].dataset, 'pipeline': []})
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def _write_part(config: Config, split: str, path: Path, cases: Collection[str], *, inside: bool) -> Path:
    """Write the images of a split that are of some cases, or are of none of them."""
    ann_file = runs.annotation_file_of(config, split)
    document = read_coco(ann_file)
    images = [image for image in document['images'] if (str(image['case_id']) in cases) == inside]
    kept = {image['id'] for image in images}
    root = image_root(ann_file, document, config[f'{split}_dataloader'].dataset.get('data_root')).resolve()
    info = dict(document.get('info', {}))
    info['mitouts'] = {**info.get('mitouts', {}), 'image_root': os.path.relpath(root, path.parent.resolve())}
    annotations = [each for each in document['annotations'] if each['image_id'] in kept]
    write_json(path, {**document, 'info': info, 'images': images, 'annotations': annotations})
    return path


def merge_folds(config: Config, folds: list[Fold], out_dir: Path) -> Distillation:
    """Write one ``distilled.json`` and ``hard_samples.json`` of what the folds' Teachers have judged.

    The files are those that :func:`mitouts.engine.distill.distill` writes of all images; ``info`` lists the folds with
    their Teachers and thresholds. The samples are in the order of the training set.

    Args:
        config: The Teacher's config.
        folds: Folds whose folders hold the two files of their cases.
        out_dir: Gets the two files.
    """
    source = config.train_dataloader.dataset
    ann_file = runs.annotation_file_of(config, 'train')
    document = mark_look_alikes(read_coco(ann_file), source.get('positive_categories', (MITOTIC_FIGURE,)))
    entries = {image['id']: image for image in document['images']}
    samples: dict[int, dict[str, Any]] = {}
    verdicts: dict[int, Verdict] = {}
    teachers = []
    for fold in folds:
        judged = read_hard_samples(fold.folder / HARD_SAMPLES_NAME)
        kept = {image['id']: image for image in read_json(fold.folder / DISTILLED_NAME)['images']}
        keys = ('teacher_sha256', 'image_threshold', 'map_threshold')
        teachers.append({'cases': fold.cases, **{key: judged['info'].get(key) for key in keys}})
        for sample in judged['images']:
            image_id = sample['image_id']
            samples[image_id] = sample
            verdicts[image_id] = _verdict(sample, kept.get(image_id), entries[image_id])
    order = [image_id for image_id in entries if image_id in samples]
    verdicts = {image_id: verdicts[image_id] for image_id in order}
    labels = {image_id: int(samples[image_id]['label']) for image_id in order}
    summary = summarize(document, verdicts, labels)
    if getattr(criterion_of(config), 'compares_points', False):
        summary |= not_compared(samples.values())
    provenance = {**provenance_of(config, ann_file, document, 'train', out_dir), 'folds': teachers}
    return write_distillation(
        document, verdicts, [samples[image_id] for image_id in order], provenance, summary, out_dir
    )


def _verdict(sample: Mapping[str, Any], kept: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> Verdict:
    """Read a verdict back from the files that it was written to."""
    label = None if kept is None else kept.get('label')
    return Verdict(
        keep=sample['verdict'] == 'keep',
        reason=sample['reason'],
        distance_px=sample.get('distance_px') or 0.0,
        new_label=None if label == entry.get('label') else label,
        weight=sample['weight'] if sample['verdict'] == 'keep' else 1.0,
    )
