"""Collects a localizer's false proposals: the hard negatives that a verifier is trained on."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dist import is_main_process

from mitouts.engine import runs
from mitouts.engine.config import read_settings
from mitouts.errors import ConfigError
from mitouts.formats.coco import CATEGORIES, HARD_NEGATIVE, image_root, make_annotation, read_coco, write_json
from mitouts.functional.cascade import hard_negatives
from mitouts.functional.matching import has_neighbour
from mitouts.structures import EvaluatedImage
from mitouts.utils.files import file_sha256
from mitouts.utils.ranks import together

PROPOSED_NAMES = {split: f'{split}.json' for split in ('train', 'val', 'test')}


class ProposalSettings(NamedTuple):
    """Settings under ``proposals = dict(...)`` of a config.

    Attributes:
        min_score: Weaker points are not proposed.
        radius_px: A proposal within this distance of a figure is not false.
        spacing_px: No two hard negatives are nearer to each other.
        max_per_image: At most this many hard negatives are added to an image, those with the highest scores; about as
            many as will be verified, because weaker ones are plain background.
    """

    min_score: float = 0.01
    radius_px: float = 30.0
    spacing_px: float = 25.0
    max_per_image: int = 5


def propose(
    config: Config, checkpoint: str | Path, out_dir: str | Path, *, launcher: str = 'none'
) -> dict[str, dict[str, int]]:
    """Predict the un-augmented images of all splits, and write each annotation file with the false proposals added.

    Args:
        config: The localizer's config; its ``proposals`` says how (:class:`ProposalSettings`), and its data loaders
            name the images.
        checkpoint: The localizer.
        out_dir: Gets ``train.json``, ``val.json`` and ``test.json``.
        launcher: Ranks share the images; rank 0 writes.

    Returns:
        For each split ``images``, ``figures``, ``found`` (figures with a proposal within the radius: no cascade can
        find more) and ``hard_negatives``, those that were annotated included.

    Raises:
        ConfigError: ``proposals`` makes no sense, or the config lacks a split or its annotation file.
    """
    settings = proposal_settings(config)
    lacking = [f'{split}_dataloader' for split in PROPOSED_NAMES if config.get(f'{split}_dataloader') is None]
    if lacking:
        raise ConfigError(f'config {config.filename} lacks {", ".join(lacking)}, whose images the localizer predicts')
    summary = {}
    for split, name in PROPOSED_NAMES.items():
        source = config[f'{split}_dataloader'].dataset
        ann_file = runs.annotation_file_of(config, split)
        images = runs.on_split(config, split)
        images.test_evaluator.min_score = settings.min_score
        run = runs.evaluate(images, checkpoint, Path(out_dir) / 'logs', launcher=launcher)
        document = read_coco(ann_file)
        proposed = proposed_document(document, run.records, settings)
        summary[split] = _summary(proposed, run.records, settings)
        root = image_root(ann_file, document, source.get('data_root')).resolve()
        proposed['info']['mitouts'] |= {
            'proposed_from': ann_file.name,
            'source_sha256': file_sha256(ann_file),
            'proposer_sha256': file_sha256(str(checkpoint)),
            'proposals': settings._asdict(),
            'map_threshold': run.results['map_threshold'],
            'image_root': Path(os.path.relpath(root, Path(out_dir).resolve())).as_posix(),
        }
        with together():
            if is_main_process():
                write_json(Path(out_dir) / name, proposed)
    return summary


def proposed_document(
    document: Mapping[str, Any], records: Sequence[EvaluatedImage], settings: ProposalSettings
) -> dict[str, Any]:
    """Return the annotation file with the false proposals added as hard negatives.

    All annotations stay as they are. A proposal that lies on an annotated hard negative adds nothing, and images that
    are positive without an annotated figure get none, because nobody knows which of their proposals are false.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it; it is not changed.
        records: Predictions; images without one are left out.
        settings: Settings of the proposals to add.
    """
    of_image = {record.truth.image_id: record for record in records}
    annotations = [dict(each) for each in document['annotations'] if each['image_id'] in of_image]
    known: dict[int, list[list[float]]] = {image_id: [] for image_id in of_image}
    for each in annotations:
        if each['category_id'] == HARD_NEGATIVE:
            known[each['image_id']].append(each['point'])
    number = max((each['id'] for each in document['annotations']), default=0)
    for image_id, record in of_image.items():
        if not record.truth.is_located:
            continue
        false = hard_negatives(
            record.prediction.above(settings.min_score),
            record.truth.points,
            record.truth.ignored,
            radius_px=settings.radius_px,
            spacing_px=settings.spacing_px,
            known_xy=known[image_id],
            max_count=settings.max_per_image,
        )
        for x, y, score in false.tolist():
            number += 1
            annotations.append(make_annotation(number, image_id, HARD_NEGATIVE, x, y, score=score, proposed=True))
    info = dict(document.get('info') or {})
    info['mitouts'] = dict(info.get('mitouts', {}))
    categories = {each['id'] for each in document['categories']}
    return {
        **document,
        'info': info,
        'images': [image for image in document['images'] if image['id'] in of_image],
        'annotations': annotations,
        'categories': [
            *document['categories'],
            *(dict(each) for each in CATEGORIES if each['id'] == HARD_NEGATIVE not in categories),
        ],
    }


def _summary(
    proposed: Mapping[str, Any], records: Sequence[EvaluatedImage], settings: ProposalSettings
) -> dict[str, int]:
    truths = [record.truth.points for record in records]
    points = [record.prediction.above(settings.min_score)[:, :2] for record in records]
    return {
        'images': len(records),
        'figures': sum(map(len, truths)),
        'found': int(has_neighbour(truths, points, settings.radius_px).sum()),
        'hard_negatives': sum(each['category_id'] == HARD_NEGATIVE for each in proposed['annotations']),
    }


def proposal_settings(config: Config) -> ProposalSettings:
    """Read and check the ``proposals`` of a config.

    Raises:
        ConfigError: Unknown keys, or a value that is no number from 0.
    """
    settings: ProposalSettings = read_settings(config, 'proposals', ProposalSettings)
    for key, value in settings._asdict().items():
        kinds, what = ((int,), 'a whole number') if key == 'max_per_image' else ((int, float), 'a number')
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < math.inf:
            raise ConfigError(f'config {config.filename}: proposals.{key} must be {what} from 0, found {value!r}')
    return settings
