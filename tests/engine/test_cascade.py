"""A staged run with a cascade, and cascades that are put together of checkpoints."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_points import POINT_MODEL
from mmengine.config import Config
from tiny_experiment import write_tiny

from mitouts.checkpoint import load_weights, read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.engine.cascade import combine
from mitouts.engine.config import load_config
from mitouts.engine.stages import load_experiment
from mitouts.errors import CheckpointError, ConfigError
from mitouts.formats.coco import HARD_NEGATIVE, read_coco
from mitouts.formats.predictions import read_predictions
from mitouts.registry import MODELS
from mitouts.stain import build_normalizer
from mitouts.structures import PointSample

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
VERIFIER = """
_base_ = './tiny.py'
model = dict(
    backbone=dict(drop_path_rate=0.0),
    head=dict(_delete_=True, type='EmbeddingHead', aggregator=dict(type='MeanAggregator', domain='feature')),
)
crops = dict(_delete_=True, type='FigureCropDataset', ann_file='none.json', data_root=None, crop_px=16, background=1)
packed = [dict(type='PackPointSample')]
train_dataloader = dict(dataset=dict(jitter_px=2, pipeline=[dict(type='Augment'), *packed], **crops))
val_dataloader = dict(dataset=dict(pipeline=packed, **crops))
test_dataloader = dict(dataset=dict(pipeline=packed, **crops))
val_evaluator = dict(metrics=[dict(type='ImageMetric')], correct_drift=False)
test_evaluator = dict(metrics=[dict(type='ImageMetric')])
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(save_best='image/auc'))
"""
CASCADE = """
_base_ = './tiny.py'
model = dict(
    _delete_=True, type='CascadeLocalizer', proposer=None, verifier=None, crop_px=16, max_proposals=4, suppression_px=8
)
"""
STAGES = """
proposals = ['+proposals.radius_px=12', '+proposals.spacing_px=8', '+proposals.max_per_image=2']
stages = [
    dict(name='localizer', kind='train', config='tiny.py', options=['train_cfg.max_epochs=1']),
    dict(name='distill', kind='distill', config='tiny.py',
         options=["distillation.criterion={'type': 'RandomDrop', 'number': 2}"]),
    dict(name='propose', kind='propose', config='tiny.py', model_from='localizer', data_from='distill',
         options=proposals),
    dict(name='verifier', kind='train', config='verifier.py', data_from='propose'),
    dict(name='cascade', kind='cascade', config='cascade_model.py', model_from='localizer', verifier_from='verifier'),
    dict(name='again', kind='test', config='cascade_model.py', model_from='cascade'),
]
"""


LOCALIZER_AND_VERIFIER = """
    dict(name='t', kind='train', config='tiny.py'), dict(name='p', kind='propose', config='tiny.py', model_from='t'),
    dict(name='v', kind='train', config='verifier.py', data_from='p')
"""


def write_configs(folder: Path) -> Path:
    write_tiny(folder)
    (folder / 'verifier.py').write_text(VERIFIER)
    (folder / 'cascade_model.py').write_text(CASCADE)
    staged = folder / 'staged.py'
    staged.write_text(STAGES)
    return staged


@pytest.fixture(scope='module')
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a staged run, and its results."""
    folder = tmp_path_factory.mktemp('cascade')
    staged = write_configs(folder)
    return folder, load_experiment(staged, folder / 'run').run()


def test_every_stage_leaves_its_results(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, results = finished
    assert json.loads((folder / 'run' / 'results.json').read_text()) == results
    rows = {row['stage']: row for row in results['stages']}
    assert list(rows) == ['localizer', 'cascade', 'again']
    for protocol in ('one_to_one', 'presence'):
        assert set(rows['cascade'][protocol]) == set(rows['localizer'][protocol])
    assert rows['cascade']['kind'] == 'cascade'
    assert rows['cascade']['images'] is None
    assert rows['cascade']['minutes'] > 0
    assert rows['cascade']['test_images'] == 8
    assert results['proposals']['propose']['minutes'] > 0
    verifier = results['verifiers']['verifier']
    assert verifier['minutes'] > 0
    assert set(verifier['image']) >= {'auc', 'f1'}
    # The cascade's checkpoint has the model that it needs; its config in the test stage has none.
    for key in ('one_to_one', 'image', 'image_threshold', 'map_threshold'):
        assert rows['again'][key] == rows['cascade'][key]


def test_proposals_are_the_annotations_and_hard_negatives_far_from_figures(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    folder, results = finished
    for split, count in (('train', 14), ('val', 8), ('test', 8)):
        proposed = read_coco(folder / 'run' / 'propose' / f'{split}.json')
        source = read_coco(
            folder / 'run' / 'distill' / 'distilled.json' if split == 'train' else folder / f'data/{split}.json'
        )
        assert proposed['images'] == source['images']
        assert len(proposed['images']) == count
        figures = [each for each in proposed['annotations'] if each['category_id'] != HARD_NEGATIVE]
        assert figures == source['annotations']
        new = [each for each in proposed['annotations'] if each.get('proposed')]
        summary = results['proposals']['propose'][split]
        assert summary['hard_negatives'] == len(new) > 0
        assert summary['images'] == count
        assert summary['figures'] == len(figures) >= summary['found']
        for image in proposed['images']:
            points = [each['point'] for each in new if each['image_id'] == image['id']]
            truth = [each['point'] for each in figures if each['image_id'] == image['id']]
            assert len(points) <= 2
            assert all(np.hypot(*np.subtract(a, b)) > 12 for a in points for b in truth)
            assert all(np.hypot(*np.subtract(a, b)) > 8 for a, b in pairwise(points))
            assert (
                folder / 'run' / 'propose' / proposed['info']['mitouts']['image_root'] / image['file_name']
            ).is_file()
    assert results['verifiers']['verifier']['images'] == sum(
        results['proposals']['propose']['train'][key] for key in ('figures', 'hard_negatives', 'images')
    )


def test_the_checkpoint_is_all_that_a_test_needs(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, results = finished
    work_dir = folder / 'run' / 'cascade'
    tested = runs.evaluate(
        load_config(work_dir / 'cascade.py'), work_dir / 'best.pth', tmp_path, out=tmp_path / 'predictions.json'
    )
    row = next(row for row in results['stages'] if row['stage'] == 'cascade')
    assert tested.results['one_to_one'] == row['one_to_one']
    left, now = (read_predictions(path / 'predictions.json') for path in (work_dir, tmp_path))
    np.testing.assert_equal([*map(vars, left.images.values())], [*map(vars, now.images.values())])
    assert all(len(image.points) <= 4 for image in left.images.values())
    assert not (work_dir / 'uncalibrated.pth').exists()


def test_the_parts_are_those_that_were_trained(finished: tuple[Path, dict[str, Any]]) -> None:
    work_dir = finished[0] / 'run'
    cascade, *parts = (read_checkpoint(work_dir / name / 'best.pth') for name in ('cascade', 'localizer', 'verifier'))
    assert len(cascade['state_dict']) == sum(len(each['state_dict']) for each in parts)
    calibration = cascade['meta']['mitouts']
    for name, part in zip(('proposer', 'verifier'), parts):
        assert calibration[name] == part['meta']['mitouts']
        for key, value in part['state_dict'].items():
            assert torch.equal(cascade['state_dict'][f'{name}.{key}'], value)
    assert calibration['classes'] == ['mitotic figure']
    assert calibration['mpp'] == 0.25
    model = MODELS.build(json.loads(cascade['meta']['cfg'])['model'])
    load_weights(model, cascade['state_dict'], 'best.pth')
    model.calibration = calibration
    assert model.calibration == calibration


def test_finished_stages_are_skipped_wherever_they_lie_until_something_changes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, results = finished
    staged, moved = folder / 'staged.py', tmp_path / 'moved'
    shutil.copytree(folder / 'run', moved)
    assert load_experiment(staged, moved).run(resume=True) == results
    assert capfd.readouterr().out.count('skipped') == 6
    load_experiment(staged, moved, ['cascade.model.max_proposals=2']).run(resume=True)
    text = capfd.readouterr().out
    assert text.count('skipped') == 4
    for name in ('cascade', 'again'):
        assert f'stage {name}: its config or its inputs have changed' in text
    for image_id, image in read_predictions(moved / 'cascade' / 'predictions.json').images.items():
        assert len(image.points) <= 2, image_id


@pytest.mark.parametrize(
    ('stages', 'message'),
    [
        ("dict(name='p', kind='propose', config='tiny.py')", 'stage p: model_from must name an earlier training stage'),
        (
            "dict(name='t', kind='train', config='tiny.py'), dict(name='v', kind='train', config='verifier.py', "
            "data_from='t')",
            "stage v: data_from must name an earlier propose stage, found 't'",
        ),
        (
            "dict(name='t', kind='train', config='tiny.py'), dict(name='p', kind='propose', config='tiny.py', "
            "model_from='t'), dict(name='s', kind='train', config='tiny.py', data_from='p')",
            "stage s: data_from must name an earlier distill or review stage, found 'p'",
        ),
        (
            "dict(name='t', kind='train', config='tiny.py'), dict(name='c', kind='cascade', config='cascade_model.py', "
            "model_from='t')",
            'stage c: verifier_from must name an earlier training stage, found None',
        ),
        ("dict(name='v', kind='train', config='verifier.py', val_from='d')", 'stage v: .* leave val_from out'),
        (
            f"{LOCALIZER_AND_VERIFIER}, dict(name='c', kind='cascade', config='cascade_model.py', model_from='t', "
            "verifier_from='t')",
            'stage c: verifier_from must name the training of a patch classifier, .* which t is not',
        ),
        (
            f"{LOCALIZER_AND_VERIFIER}, dict(name='c', kind='cascade', config='cascade_model.py', model_from='v', "
            "verifier_from='v')",
            'stage c: model_from must name the training of a localizer, which v is not',
        ),
    ],
)
def test_references_that_make_no_sense(stages: str, message: str, tmp_path: Path) -> None:
    staged = write_configs(tmp_path)
    staged.write_text(f'stages = [{stages}]')
    with pytest.raises(ConfigError, match=message):
        load_experiment(staged, tmp_path / 'run')


def test_a_point_model_proposes_as_well(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = finished
    model = MODELS.build(POINT_MODEL)
    proposer = tmp_path / 'points.pth'
    meta = {'cfg': json.dumps({'model': POINT_MODEL}), 'mitouts': {'image_threshold': 0.5, 'map_threshold': 0.5}}
    write_checkpoint(proposer, {'meta': meta, 'state_dict': model.state_dict()})
    verifier = folder / 'run' / 'verifier' / 'best.pth'
    cascade = combine(load_config(folder / 'cascade_model.py'), proposer, verifier, tmp_path / 'cascade')
    run = runs.evaluate(cascade.config, cascade.checkpoint, tmp_path / 'test')
    assert cascade.config.model.proposer == POINT_MODEL
    verified = MODELS.build(cascade.config.model).eval()
    checkpoint = read_checkpoint(cascade.checkpoint)
    load_weights(verified, checkpoint['state_dict'], cascade.checkpoint)
    dataset = runs.DATASETS.build(cascade.config.test_dataloader.dataset)
    for index in (0, 5):
        item = dataset[index]
        inputs = verified.data_preprocessor({'inputs': [item['inputs']]})['inputs']
        (sample,) = verified(inputs, [PointSample()], mode='predict')
        found = next(each for each in run.records if each.truth.image_id == item['data_samples'].img_id)
        np.testing.assert_allclose(found.prediction.points, sample.pred_points.numpy(), rtol=1e-5)


def change(path: Path, out: Path, **changes: Any) -> Path:
    """A copy of a checkpoint with other meta; None removes an entry."""
    checkpoint = read_checkpoint(path)
    meta = {key: value for key, value in {**checkpoint['meta'], **changes}.items() if value is not None}
    write_checkpoint(out, {**checkpoint, 'meta': meta})
    return out


def test_parts_that_do_not_belong_together_are_refused(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = finished
    config = load_config(folder / 'cascade_model.py')
    proposer, verifier = (folder / 'run' / name / 'best.pth' for name in ('localizer', 'verifier'))
    out = tmp_path / 'out'
    with pytest.raises(ConfigError, match='a cascade needs a model of the type CascadeLocalizer'):
        combine(load_config(folder / 'tiny.py'), proposer, verifier, out)
    with pytest.raises(ConfigError, match=r'model\.crop_px is 20, but the verifier was trained on crops of 16 px'):
        combine(load_config(folder / 'cascade_model.py', ['model.crop_px=20']), proposer, verifier, out)
    with pytest.raises(CheckpointError, match='the verifier was trained on a PointDataset, not on crops'):
        combine(config, verifier, proposer, out)
    trained = json.loads(read_checkpoint(verifier)['meta']['cfg'])
    del trained['train_dataloader']['dataset']['crop_px']
    silent = change(verifier, tmp_path / 'd.pth', cfg=json.dumps(trained))
    with pytest.raises(ConfigError, match=r'model\.crop_px is 16, but the verifier was trained on crops of 64 px'):
        combine(config, proposer, silent, out)
    with pytest.raises(ConfigError, match='lacks val_evaluator, which a cascade needs'):
        combine(Config({**config._cfg_dict.to_dict(), 'val_evaluator': None}), proposer, verifier, out)
    with pytest.raises(CheckpointError, match='carries no thresholds in its meta'):
        combine(config, change(proposer, tmp_path / 'a.pth', mitouts=None), verifier, out)
    with pytest.raises(CheckpointError, match='carries no config in its meta'):
        combine(config, proposer, change(verifier, tmp_path / 'b.pth', cfg=None), out)
    other = {**read_checkpoint(verifier)['meta']['mitouts'], 'mpp': 0.5}
    with pytest.raises(CheckpointError, match=r'proposer was validated at 0\.25 um/px and the verifier at 0\.5'):
        combine(config, proposer, change(verifier, tmp_path / 'c.pth', mitouts=other), out)
    other = {**read_checkpoint(verifier)['meta']['mitouts'], 'stain_reference': build_normalizer('macenko').describe()}
    with pytest.raises(CheckpointError, match='proposer was trained on images as they were scanned, the verifier on'):
        combine(config, proposer, change(verifier, tmp_path / 'd.pth', mitouts=other), out)
    assert not out.exists()


@pytest.mark.parametrize('data', ['amibr-fields', 'phantom', 'tupac16', 'midog21', 'midog21-hn'])
def test_a_cascade_config_has_the_models_of_its_stages(data: str) -> None:
    stages = {
        each.name: each for each in load_experiment(CONFIGS / 'detection/cascade_lite0.py', 'work', data=data).stages
    }
    model = stages['cascade'].config.model
    assert model.proposer == stages['student'].config.model
    assert model.verifier == stages['verifier'].config.model
    loaders = [stages['verifier'].config[f'{split}_dataloader'] for split in ('train', 'val', 'test')]
    assert {loader.dataset.crop_px for loader in loaders} == {model.crop_px}
    assert all(loader.dataset.positive_categories == [1] for loader in loaders)
    assert {loader.batch_size for loader in loaders} == {stages['student'].config.train_dataloader.batch_size}
    geometry = MODELS.build(model.verifier.backbone | {'weights': None}).geometry
    # Every cell of the verifier sees the whole crop, wherever in it the cell lies.
    assert geometry.receptive_radius_px >= model.crop_px
    test = stages['cascade'].config.test_dataloader.dataset
    assert test.ann_file == stages['student'].config.test_dataloader.dataset.ann_file
    assert stages['cascade'].config.val_dataloader.dataset.positive_categories == [1]
