"""A finished suite in miniature: what ``mitouts suite`` leaves, drawn from a seed instead of trained.

``write_suite(tmp_path)`` writes ``tmp_path/data`` (annotation files, with ``pictures=True`` images as well) and the
suite folder ``tmp_path/work_dirs/tiny``, which it returns. The scores in each ``results.json`` are computed from the
run's own predictions by the metrics of the package, so a tool that reads one and a tool that counts the other agree.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from image_records import evaluated
from numpy.typing import NDArray

from mitouts.evaluation.metrics import CentroidMetric, ImageMetric
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.formats.predictions import write_predictions
from mitouts.functional.distillation import least_distance_px
from mitouts.imaging.image import write_rgb
from mitouts.structures import EvaluatedImage

SIZE_PX = 128
EPOCHS = 3
ENVIRONMENT = {'mitouts': '0.1.0', 'git': 'abc1234', 'torch': '2.13.0+cpu', 'gpu': 'none', 'threads': '2'}
TRAINED = ('teacher', 'student', 'control', 'random', 'oracle')
# The share of figures that a stage's model finds, and its false points an image.
SKILL: dict[str, tuple[float, float]] = {
    'teacher': (0.80, 0.30),
    'student': (0.85, 0.20),
    'control': (0.75, 0.40),
    'random': (0.70, 0.40),
    'oracle': (0.90, 0.15),
    'model': (0.80, 0.25),
}
# The share of noisy samples that a step drops, and of clean ones.
DROPS = {'distill': (0.9, 0.15), 'random_drop': (0.3, 0.3), 'oracle_drop': (1.0, 0.0)}


@dataclass(frozen=True)
class Group:
    """One group of a suite.

    Attributes:
        name: Its folder.
        staged: Teacher, distill, student, control, random_drop, random, oracle_drop, oracle; otherwise one stage
            ``model``, as a plain config has.
        folds: ``(None,)`` for runs without folds, whose folders are called ``seed{S}``.
        seeds: Seeds.
        noise: Share of the positive training images that hold no figure where they are annotated.
    """

    name: str
    staged: bool = True
    folds: Sequence[int | None] = (0, 1)
    seeds: Sequence[int] = (0, 1)
    noise: float = 0.0


GROUPS = (
    Group('noise00'),
    Group('noise30', noise=0.3),
    Group('aggregators', staged=False, folds=(None,), seeds=(0, 1, 2)),
)


def write_suite(
    folder: Path,
    groups: Sequence[Group] = GROUPS,
    *,
    failed: tuple[str, int | None, int] | None = ('noise30', 1, 1),
    num_images: int = 24,
    num_cases: int = 4,
    pictures: bool = False,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Path:
    """Write data and runs.

    Args:
        folder: Gets ``data/GROUP[_foldK]/{train,test}.json`` and ``work_dirs/tiny/GROUP/RUN/``.
        groups: What to write; the default has ``noise00``, ``noise30`` (both staged, 2 folds x 2 seeds) and
            ``aggregators`` (plain, 3 seeds without folds).
        failed: Group, fold and seed of the run that broke in its student stage: ``run.json`` says so, the teacher's
            folder is complete, ``results.json`` is missing. None: all runs are done.
        num_images: Images of each training and of each test set; every second one is positive.
        num_cases: Cases that the images of one set come from.
        pictures: Write the images too, as PNG of 128 x 128 px.
        environment: What ``started.json`` says of machine and versions.

    Returns:
        The suite's folder.
    """
    suite = folder / 'work_dirs' / 'tiny'
    for group in groups:
        for fold in group.folds:
            data = folder / 'data' / (group.name if fold is None else f'{group.name}_fold{fold}')
            for split, noise in (('train', group.noise), ('test', 0.0)):
                _write_split(data, split, fold, noise, num_images, num_cases, pictures)
            for seed in group.seeds:
                broken = failed == (group.name, fold, seed)
                name = f'seed{seed}' if fold is None else f'fold{fold}_seed{seed}'
                _write_run(suite / group.name / name, data, group, fold, seed, broken, environment)
    return suite


def _write_split(
    data: Path, split: str, fold: int | None, noise: float, num_images: int, num_cases: int, pictures: bool
) -> None:
    generator = _generator('split', split, fold)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, num_images + 1):
        positive = number % 2 == 0
        # The noisy share is spread evenly over the positive images.
        noisy = positive and int(number / 2 * noise) > int((number / 2 - 1) * noise)
        points = generator.uniform(16, SIZE_PX - 16, (1 + (number % 8 == 0), 2)) if positive else np.zeros((0, 2))
        file_name = f'images/{split}/{number:03d}.png'
        extra: dict[str, Any] = {'is_noise': True} if noisy else {}
        case_id = f'{split}{0 if fold is None else fold}{number % num_cases:02d}'
        images.append(make_image(number, file_name, SIZE_PX, SIZE_PX, case_id=case_id, mpp=0.25, **extra))
        for x, y in points.tolist():
            annotations.append(make_annotation(len(annotations) + 1, number, 1, x, y))
        if pictures:
            write_rgb(data / file_name, _picture(generator, points if not noisy else points[:0]))
    write_json(data / f'{split}.json', make_document(images, annotations, name=split, tool='tests'))


def _picture(generator: np.random.Generator, points: NDArray[np.float64]) -> NDArray[np.uint8]:
    pixels = generator.integers(200, 230, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    for x, y in points:
        pixels[(columns - x) ** 2 + (rows - y) ** 2 <= 36] = (90, 30, 110)
    return pixels


def _write_run(
    run: Path, data: Path, group: Group, fold: int | None, seed: int, broken: bool, environment: Mapping[str, str]
) -> None:
    stages = TRAINED if group.staged else ('model',)
    rows = []
    for stage in stages[:1] if broken else stages:
        rows.append(_write_stage(run / stage, data, stage, (group.name, fold, seed), environment))
    distillations = {}
    if group.staged and not broken:
        for stage in DROPS:
            distillations[stage] = _write_distillation(run / stage, data, stage, (group.name, fold, seed), environment)
    if not broken:
        results: dict[str, Any] = {'stages': rows}
        if distillations:
            results |= {'distillation': distillations['distill'], 'distillations': distillations}
        write_json(run / 'results.json', results)
    info: dict[str, Any] = {'suite': 'tiny', 'group': group.name, 'config': f'configs/uts/{group.name}.py'}
    info |= {'seed': seed, 'fold': fold, 'status': 'failed' if broken else 'done', 'cfg_options': []}
    info |= {'minutes': sum(row['minutes'] for row in rows)}
    info |= {'error': 'TrainingError: the loss is nan in epoch 2' if broken else None}
    write_json(run / 'run.json', info)


def _write_stage(
    folder: Path, data: Path, stage: str, key: tuple[Any, ...], environment: Mapping[str, str]
) -> dict[str, Any]:
    generator = _generator('stage', stage, *key)
    threshold = float(generator.uniform(0.45, 0.55))
    document = json.loads((data / 'test.json').read_text())
    records = [_record(generator, stage, image, document, threshold) for image in document['images']]
    thresholds = {'image_threshold': threshold, 'map_threshold': threshold}
    predictions = [record.prediction for record in records]
    write_predictions(folder / 'predictions.json', predictions, {'checkpoint': 'best.pth', **thresholds})
    row: dict[str, Any] = {'kind': 'train', 'minutes': float(generator.uniform(1, 3)), 'images': len(records)}
    row |= {'test_images': len(records), **thresholds}
    row |= {'test_ann_file': str(data / 'test.json'), 'positive_categories': [1]}
    for metric in (ImageMetric(), CentroidMetric(radius_px=[30, 15], num_bootstrap=100)):
        row |= metric(records, **thresholds)
    _write_marks(folder, row, key[2], environment)
    _write_scalars(folder, row, generator)
    return {'stage': stage, **row}


def _record(
    generator: np.random.Generator, stage: str, image: Mapping[str, Any], document: Mapping[str, Any], threshold: float
) -> EvaluatedImage:
    found_share, false_points = SKILL[stage]
    truth = np.array([a['point'] for a in document['annotations'] if a['image_id'] == image['id']]).reshape(-1, 2)
    found = generator.random(len(truth)) < found_share
    hits = truth[found] + generator.normal(0, 6, (int(found.sum()), 2))
    missed = truth[~found] + generator.normal(0, 6, (int((~found).sum()), 2))
    false = generator.uniform(0, SIZE_PX, (generator.poisson(false_points), 2))
    weak = generator.uniform(0, SIZE_PX, (2, 2))
    xy = np.concatenate([hits, false, missed, weak])
    strong = len(hits) + len(false)
    scores = np.concatenate(
        [generator.uniform(threshold, 1, strong), generator.uniform(0.01, threshold, len(xy) - strong)]
    )
    predicted = np.column_stack([xy, scores])
    return evaluated(image['id'], truth, predicted, case_id=image['case_id'], width=SIZE_PX, height=SIZE_PX)


def _write_distillation(
    folder: Path, data: Path, stage: str, key: tuple[Any, ...], environment: Mapping[str, str]
) -> dict[str, Any]:
    """``hard_samples.json`` and ``distilled.json``; ``is_noise`` stands in the samples where the file marks noise."""
    generator = _generator('distill', stage, *key)
    document = json.loads((data / 'train.json').read_text())
    knows_noise = any(image.get('is_noise') for image in document['images'])
    samples = []
    for image in document['images']:
        truth = np.array([a['point'] for a in document['annotations'] if a['image_id'] == image['id']]).reshape(-1, 2)
        noisy, positive = bool(image.get('is_noise')), len(truth) > 0
        drop_share = DROPS[stage][0 if noisy else 1] if positive else 0.0
        dropped = bool(generator.random() < drop_share)
        shift_px = generator.uniform(31, 90) if dropped else generator.uniform(0, 29)
        angle = generator.uniform(0, 2 * np.pi)
        predicted = truth[:1] + shift_px * np.array([np.cos(angle), np.sin(angle)])
        distance_px = least_distance_px(predicted, truth, diagonal_px=SIZE_PX * 2**0.5)
        reason = ('no_true_prediction' if dropped else 'agreement') if positive else 'negative'
        sample = {'image_id': image['id'], 'file_name': image['file_name'], 'case_id': image['case_id']}
        sample |= {'label': int(positive), 'verdict': 'drop' if dropped else 'keep', 'reason': reason}
        sample |= {'weight': float(not dropped), 'distance_px': 0.0}
        if stage == 'distill':
            # The controls look at no prediction.
            sample |= {'distance_px': float(distance_px)}
            sample |= {'score': float(generator.uniform(0.5, 1) if positive else generator.uniform(0, 0.5))}
            sample |= {'predicted_points': [[*point, 0.9] for point in predicted.tolist()]}
            sample |= {'annotated_points': truth.tolist()}
        samples.append(sample | ({'is_noise': noisy} if knows_noise else {}))
    kept = {sample['image_id'] for sample in samples if sample['verdict'] == 'keep'}
    summary: dict[str, Any] = {'kept': len(kept), 'dropped': len(samples) - len(kept)}
    if knows_noise:
        noise = {image['id'] for image in document['images'] if image.get('is_noise')}
        clean = {sample['image_id'] for sample in samples if sample['label'] == 1} - noise
        summary |= {'noise_dropped': len(noise - kept), 'noise_total': len(noise)}
        summary |= {'clean_kept': len(clean & kept), 'clean_total': len(clean)}
    info: dict[str, Any] = {
        'distilled_from': 'train.json',
        'criterion': {'type': 'CentroidDisagreement', 'radius_px': 30},
    }
    info |= {'image_threshold': 0.5, 'map_threshold': 0.5, 'image_root': str(data), 'summary': summary}
    write_json(folder / 'hard_samples.json', {'info': info, 'images': samples})
    images = [image for image in document['images'] if image['id'] in kept]
    annotations = [item for item in document['annotations'] if item['image_id'] in kept]
    write_json(
        folder / 'distilled.json',
        make_document(images, annotations, name='train', tool='tests', image_root=str(data)),
    )
    _write_marks(folder, {'kind': 'distill', 'minutes': 0.1, **summary}, key[2], environment)
    return summary


def _write_marks(folder: Path, results: Mapping[str, Any], seed: int, environment: Mapping[str, str]) -> None:
    fingerprint = {'config': 'c0ffee', 'version': environment['mitouts']}
    write_json(folder / 'started.json', {'fingerprint': fingerprint, 'seed': seed, 'environment': dict(environment)})
    write_json(folder / 'stage.json', {'fingerprint': fingerprint, 'results': dict(results)})


def _write_scalars(folder: Path, row: Mapping[str, Any], generator: np.random.Generator) -> None:
    """Two training lines an epoch and one of validation, as mmengine logs them."""
    lines: list[dict[str, Any]] = []
    for epoch in range(1, EPOCHS + 1):
        for step in (2 * epoch - 1, 2 * epoch):
            loss = 0.7 / epoch + float(generator.uniform(0, 0.05))
            lines.append({'lr': 1e-3, 'loss': loss, 'epoch': epoch, 'iter': step, 'step': step})
        lines.append({'image/f1': row['image']['f1'] * epoch / EPOCHS, 'image/auc': row['image']['auc'], 'step': epoch})
    path = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def _generator(*key: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))
