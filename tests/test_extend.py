"""Every recipe of docs/extend.md, as it stands there: written into a folder, named in a config, trained."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from outside import PACKAGE, found_in, recipe_blocks, recipes, write_recipe
from tiny_experiment import write_tiny

from mitouts.commands.main import main as mitouts
from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.engine.distill import distill
from mitouts.engine.stages import load_experiment
from mitouts.formats.coco import make_document, make_image, read_coco, write_json
from mitouts.imaging import open_slide
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.inference import Localizer
from mitouts.patches.images import Options
from mitouts.patches.prepare import prepare
from mitouts.registry import DATASETS, MODELS, STAGES, UnknownComponentError
from mitouts.stain import NormalizerChain

BASE = 'the_config_you_start_from.py'
Prepared = Callable[..., Config]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a tiny data set and the config that each recipe begins with; commands are run in it."""
    base = write_tiny(tmp_path).rename(tmp_path / BASE)
    # As the configs of the package say it.
    more = [
        "model['head']['loss'] = dict(type='ImageBCELoss')",
        "val_evaluator['image_threshold'] = dict(type='MaxF1Threshold')",
    ]
    base.write_text('\n'.join([base.read_text(), *more]))
    monkeypatch.chdir(tmp_path)
    with found_in(tmp_path, PACKAGE):
        yield tmp_path


@pytest.fixture
def prepared(folder: Path) -> Prepared:
    """Writes a recipe and reads its config, for a training of one epoch or more."""

    def prepare(name: str, epochs: int = 1) -> Config:
        write_recipe(name, folder)
        blocks = recipe_blocks()
        (folder / 'my_config.py').write_text(blocks['python'] + blocks[f'{name}: config'])
        config = load_config(folder / 'my_config.py')
        config.train_cfg.max_epochs = epochs
        return config

    return prepare


def test_every_block_has_a_test() -> None:
    tested = {'python', 'bash', 'albumentations: config', 'slide reader: use', 'converter: use'}
    tested |= {f'{name}: {part}' for name in recipes() for part in ('my_package.py', 'config')}
    # What a command of its own runs needs no config; the converter's is tested with the other converters.
    assert set(recipe_blocks()) == tested - {'slide reader: config', 'converter: config'}


@pytest.mark.parametrize(
    ('name', 'part', 'kind'),
    [
        ('aggregator', 'head.aggregator', 'SoftmaxPooling'),
        ('head', 'head', 'DeepHead'),
        ('backbone', 'backbone', 'FewConvolutions'),
        ('loss', 'head.loss_function', 'FocalLoss'),
        ('loss', 'head.extra_losses.0', 'SparseMapLoss'),
    ],
)
def test_a_part_of_a_model_is_trained_saved_and_loaded(prepared: Prepared, name: str, part: str, kind: str) -> None:
    config = prepared(name)
    assert type(MODELS.build(config.model).get_submodule(part)).__name__ == kind
    run = runs.train(config, 'run')
    localizer = Localizer.from_checkpoint(run.checkpoint, imports=[PACKAGE])
    assert type(localizer.model.get_submodule(part)).__name__ == kind
    found = localizer.predict(np.full((48, 48, 3), 220, np.uint8))
    assert 0 <= found.score <= 1


def test_the_command_of_the_page_trains_with_it(
    folder: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared('aggregator')
    path, program, *words = recipe_blocks()['bash'].split()
    assert (path, program) == ('PYTHONPATH=.', '.venv/bin/mitouts')
    # The command sets it.
    monkeypatch.setattr(sys, 'argv', [program, *words])
    with pytest.raises(SystemExit) as ended:
        mitouts(words)
    assert ended.value.code == 0
    assert (folder / 'work_dirs' / 'my_config' / 'best.pth').is_file()


def test_a_checkpoint_says_what_to_import(folder: Path, prepared: Prepared) -> None:
    run = runs.train(prepared('aggregator'), 'run')
    with found_in(folder, PACKAGE), pytest.raises(UnknownComponentError, match=f'--import {PACKAGE}'):
        Localizer.from_checkpoint(run.checkpoint)


def test_losses_are_those_of_their_formulas(prepared: Prepared) -> None:
    prepared('loss')
    logits, labels = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([1, 0, 0])
    probability = torch.sigmoid(logits)
    right = torch.where(labels == 1, probability, 1 - probability)
    expected = -((1 - right) ** 2) * torch.log(right)
    loss = MODELS.build(dict(type='FocalLoss'))
    torch.testing.assert_close(loss(logits, labels), expected.mean())
    torch.testing.assert_close(loss(logits, labels, torch.tensor([0.0, 0.0, 1.0])), expected[2])


def test_a_data_set_of_folders_is_trained_on(folder: Path, prepared: Prepared) -> None:
    images = read_coco(folder / 'data' / 'train.json')
    figures = {each['image_id'] for each in images['annotations']}
    for image in images['images']:
        place = folder / 'folders' / ('positive' if image['id'] in figures else 'negative')
        place.mkdir(parents=True, exist_ok=True)
        case = image['case_id'].replace('_', '')
        (folder / 'data' / image['file_name']).rename(place / f'{case}_{image["id"]}.png')
    run = runs.train(prepared('data set'), 'run')
    assert run.images == len(images['images'])
    assert torch.load(run.checkpoint, weights_only=True)['meta']['mitouts']['dataset'] == 'folders'


def test_a_transform_draws_the_same_again(prepared: Prepared) -> None:
    config = prepared('transform')
    step = training_step(config, 'Brightness')
    image = np.full((4, 4, 3), 100, np.uint8)
    once, again, other = (step({'img': image, 'augmentation_seed': seed})['img'] for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    runs.train(config, 'run')


def training_step(config: Config, name: str) -> Any:
    """A step of the training pipeline of a config."""
    steps = DATASETS.build(config.train_dataloader.dataset).pipeline.transforms
    return next(step for step in steps if type(step).__name__ == name)


def test_a_transform_of_albumentations_needs_no_class(folder: Path) -> None:
    (folder / 'my_config.py').write_text(f'_base_ = {BASE!r}\n' + recipe_blocks()['albumentations: config'])
    config = load_config(folder / 'my_config.py')
    config.train_cfg.max_epochs = 1
    runs.train(config, 'run')


def test_a_metric_is_in_the_results(folder: Path, prepared: Prepared) -> None:
    config = prepared('metric')
    run = runs.train(config, 'run')
    results = runs.evaluate(config, run.checkpoint, 'test').results
    assert results['count']['annotated'] == 4 / 8


def test_a_selector_chooses_the_threshold_in_the_checkpoint(prepared: Prepared) -> None:
    config = prepared('threshold selector')
    run = runs.train(config, 'run')
    config.test_dataloader = config.val_dataloader
    evaluated = runs.evaluate(config, run.checkpoint, 'test')
    negatives = [record.prediction.score for record in evaluated.records if record.truth.label == 0]
    assert evaluated.results['image_threshold'] == pytest.approx(np.quantile(negatives, 0.75), abs=1e-6)


def test_a_criterion_distils_for_its_own_reasons(prepared: Prepared) -> None:
    config = prepared('criterion')
    run = runs.train(config, 'run')
    records = runs.evaluate(config, run.checkpoint, 'seen').records
    config.distillation.criterion.margin = float(np.std([record.prediction.score for record in records])) / 2
    result = distill(config, run.checkpoint, 'distilled')
    found = json.loads(result.hard_samples.read_text())
    reasons = {}
    for sample in found['images']:
        margin = sample['score'] - found['info']['image_threshold']
        far = abs(margin) >= config.distillation.criterion.margin
        right = (margin > 0) == (sample['label'] == 1)
        reasons[sample['image_id']] = ('confident' if far else 'unsure') if right else 'image_error'
    assert {sample['image_id']: sample['reason'] for sample in found['images']} == reasons
    assert len({*reasons.values()}) > 1
    kept = {image_id for image_id, reason in reasons.items() if reason == 'confident'}
    assert {image['id'] for image in read_coco(result.distilled)['images']} == kept
    assert 'not_compared' not in result.summary


def test_a_stain_normalizer_travels_with_the_checkpoint(folder: Path, prepared: Prepared) -> None:
    reference = np.full((20, 20, 3), (200, 120, 180), np.uint8)
    write_rgb(folder / 'reference.png', reference)
    run = runs.train(prepared('stain normalizer'), 'run')
    localizer = Localizer.from_checkpoint(run.checkpoint, imports=[PACKAGE])
    image = read_rgb(folder / 'data' / 'test_00.png')
    normalized, why_not = localizer.preparer.normalize(image)
    assert why_not is None
    np.testing.assert_allclose(normalized.mean(axis=(0, 1)), (200, 120, 180), atol=2)


def test_processes_that_cut_patches_know_it(folder: Path) -> None:
    write_recipe('stain normalizer', folder)
    write_recipe('slide reader', folder, module='my_reader')
    importlib.import_module(PACKAGE)
    pixels = np.random.default_rng(0).integers(40, 220, (48, 96, 3), np.uint8)
    write_rgb(folder / 'reference.png', pixels[:, :48])
    np.save('field.npy', pixels)
    with found_in(folder, 'my_reader'):
        importlib.import_module('my_reader')
        image = make_image(1, 'field.npy', 96, 48, case_id='a', mpp=0.25)
        write_json(folder / 'field.json', make_document([image], [], name='field', tool='tests'))
        chain = NormalizerChain(['means'], 'reference.png')
        options = Options(patch_px=48, stride_px=48, fit='patch')
        prepare(folder / 'field.json', folder, folder / 'patches', options, chain, workers=2)
    patches = sorted((folder / 'patches').rglob('*.png'))
    assert len(patches) == 2
    for path, patch in zip(patches, np.split(pixels, 2, axis=1)):
        np.testing.assert_array_equal(read_rgb(path), chain.normalize(patch)[0])


def test_a_slide_reader_claims_its_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe('slide reader', folder)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    np.save('field.npy', pixels)
    importlib.import_module(PACKAGE)
    (folder / 'use.py').write_text(recipe_blocks()['slide reader: use'])
    used = runpy.run_path('use.py')
    assert used['thumbnail'].shape == (21, 32, 3)
    assert used['half'].shape == (16, 16, 3)
    with open_slide('field.npy', mpp=0.25) as reader:
        assert type(reader).__name__ == 'ArrayReader'
        np.testing.assert_array_equal(reader.read_level(0, 10, 20, 30, 40), pixels[20:60, 10:40])


def test_a_stage_leaves_images_for_a_training(folder: Path) -> None:
    write_recipe('stage', folder)
    blocks = recipe_blocks()
    header = blocks['python'].splitlines()[1]
    (folder / 'my_config.py').write_text('\n'.join([header, blocks['stage: config']]))
    results = load_experiment(folder / 'my_config.py', folder / 'run').run()
    assert STAGES.require('thin').__module__ == PACKAGE
    assert results['thinnings']['half']['kept'] == 6
    assert results['stages'][0]['images'] == 6
