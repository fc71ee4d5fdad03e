"""Trainings and tests whose images have other colours than those that the model learns from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from stained_patches import STAINS, draw_patch
from tiny_experiment import SIZE_PX, tiny_config

from mitouts.engine import runs
from mitouts.engine.hooks import EMATeacherHook
from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json, write_json
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.registry import HOOKS
from mitouts.stain import build_normalizer

MACENKO = {**build_normalizer('macenko').describe(), 'fit': 'image'}
NORMALIZER = build_normalizer('macenko')


@HOOKS.register_module(force=True)
class _Keep(Hook):
    """Keeps the Teacher's hook."""

    hook: Any = None

    def after_train(self, runner: Any) -> None:
        type(self).hook = next(hook for hook in runner.hooks if isinstance(hook, EMATeacherHook))


def stained(folder: Path, **splits: Any) -> Any:
    """The tiny experiment with two-stained images; a split is named with what its annotation file says."""
    config = tiny_config(folder, train_cfg__max_epochs=1)
    for split in ('train', 'val', 'test'):
        path = folder / 'data' / f'{split}.json'
        document = read_json(path)
        for image in document['images']:
            whole = draw_patch(3 * SIZE_PX, seed=image['id'], stains=STAINS[:, [0, 2, 1]], noise=2)
            write_rgb(folder / 'data' / image['file_name'], whole[SIZE_PX:-SIZE_PX, SIZE_PX:-SIZE_PX])
        document['info']['mitouts']['stain_reference'] = splits.get(split)
        write_json(path, document)
    return config


def normalize_files(folder: Path, split: str) -> None:
    """What ``prepare_patches`` does, each image by what is measured on it."""
    path = folder / 'data' / f'{split}.json'
    document = read_json(path)
    for image in document['images']:
        file = folder / 'data' / image['file_name']
        pixels = read_rgb(file)
        write_rgb(file, NORMALIZER.apply(pixels, NORMALIZER.fit_tiles([pixels])))
    document['info']['mitouts']['stain_reference'] = MACENKO
    write_json(path, document)


def test_the_checkpoint_keeps_the_colours_of_training_and_scanned_images_are_brought_to_them(tmp_path: Path) -> None:
    config = stained(tmp_path, train=MACENKO)
    trained = runs.train(config, tmp_path / 'run')
    calibration = torch.load(trained.checkpoint, weights_only=True)['meta']['mitouts']
    assert calibration['stain_reference'] == MACENKO
    assert 0 < calibration['slide_threshold'] < 1
    assert calibration['slide_threshold_reason'].startswith('largest F1 over 8 images (4 positive)')
    scanned = runs.evaluate(config, trained.checkpoint, tmp_path / 'scanned')
    normalize_files(tmp_path, 'test')
    prepared = runs.evaluate(config, trained.checkpoint, tmp_path / 'prepared')
    assert [record.prediction.score for record in scanned.records] == [
        record.prediction.score for record in prepared.records
    ]


def test_what_the_stain_is_measured_over_is_that_of_training(tmp_path: Path) -> None:
    config = stained(tmp_path, train={**MACENKO, 'fit': 'case'}, val=MACENKO)
    trained = runs.train(config, tmp_path / 'run')
    calibration = torch.load(trained.checkpoint, weights_only=True)['meta']['mitouts']
    assert calibration['stain_reference'] == {**MACENKO, 'fit': 'case'}


def test_a_teacher_that_judges_sees_its_training_images_in_the_colours_that_it_learns_from(tmp_path: Path) -> None:
    config = stained(tmp_path)
    steps = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset.pipeline = [steps[0], dict(type='StainNormalize', method='macenko'), *steps[1:]]
    config.custom_hooks = [*config.custom_hooks, dict(type='_Keep', priority='LOWEST'), dict(type='EMATeacherHook')]
    runs.train(config, tmp_path / 'run')
    judged = _Keep.hook.dataset
    pixels = judged[0]['inputs'].numpy().transpose(1, 2, 0)
    raw = read_rgb(judged.get_data_info(0)['img_path'])
    np.testing.assert_array_equal(pixels, NORMALIZER.normalize(raw)[0])


def test_scores_of_adapted_models_are_those_of_normalized_images(tmp_path: Path) -> None:
    config = stained(tmp_path, train=MACENKO)
    trained = runs.train(config, tmp_path / 'run')
    scanned = runs.evaluate(config, trained.checkpoint, tmp_path / 'scanned', adapt_bn=2.0)
    normalize_files(tmp_path, 'test')
    prepared = runs.evaluate(config, trained.checkpoint, tmp_path / 'prepared', adapt_bn=2.0)
    assert [record.prediction.score for record in scanned.records] == [
        record.prediction.score for record in prepared.records
    ]


@pytest.mark.parametrize('split', ['val', 'test'])
def test_images_normalized_otherwise_stop_a_run_with_a_line(tmp_path: Path, split: str) -> None:
    config = stained(tmp_path, **{split: MACENKO})

    def run() -> None:
        trained = runs.train(config, tmp_path / 'run')
        runs.evaluate(config, trained.checkpoint, tmp_path / 'out')

    with pytest.raises(AnnotationError, match=f'{split}.json: its images were normalized by macenko'):
        run()
