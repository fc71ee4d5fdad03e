"""A training and a test as the tools run them: which hooks take part, and components that are named by their class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import EMAHook
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint
from mitouts.datasets.figure_crops import FigureCropDataset
from mitouts.engine import runs
from mitouts.engine.distillation_hook import DistillationHook
from mitouts.engine.stages.experiment import make_stage
from mitouts.inference.localizer import Localizer
from mitouts.models import WSSLocalizer
from mitouts.registry import HOOKS, UnknownComponentError


@HOOKS.register_module(force=True)
class _OwnDistillation(DistillationHook):
    """A subclass, as a plug-in has one."""


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    folder = tmp_path_factory.mktemp('trained')
    config = tiny_config(folder, train_cfg__max_epochs=1)
    return config, runs.train(config, folder / 'run').checkpoint


def _hooks_of_test(config: Config, checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """Classes of the hooks that took part in a test."""
    kinds: list[type] = []
    monkeypatch.setattr(
        runs.Runner, 'test', lambda self, test=runs.Runner.test: kinds.extend(map(type, self.hooks)) or test(self)
    )
    runs.evaluate(config, checkpoint, folder / 'test')
    return kinds


@pytest.mark.parametrize(
    'hook',
    [
        {'type': 'DistillationHook'},
        {'type': 'mitouts.DistillationHook'},
        {'type': 'mitouts.engine.distillation_hook.DistillationHook'},
        {'type': DistillationHook},
        {'type': '_OwnDistillation'},
        {'type': 'EMAHook'},
        {'type': 'mmengine.EMAHook'},
        {'type': 'mitouts.EMATeacherHook'},
        {'type': 'TrainingDistanceHook'},
        DistillationHook(),
    ],
)
def test_hooks_of_a_training_take_no_part_in_a_test(hook: Any, trained, tmp_path, monkeypatch) -> None:
    config, checkpoint = trained
    config = Config({**config._cfg_dict.to_dict(), 'custom_hooks': [hook, *config.custom_hooks]})
    kinds = _hooks_of_test(config, checkpoint, tmp_path, monkeypatch)
    assert not any(issubclass(kind, runs.TRAINING_HOOKS) for kind in kinds)
    assert HOOKS.get('CalibrationHook') in kinds
    assert not (tmp_path / 'test' / 'distillation').exists()


def test_a_training_hook_among_the_default_hooks_takes_no_part_in_a_test(trained, tmp_path, monkeypatch) -> None:
    config, checkpoint = trained
    config = Config(config._cfg_dict.to_dict())
    config.default_hooks.average = dict(type='mmengine.EMAHook')
    kinds = _hooks_of_test(config, checkpoint, tmp_path, monkeypatch)
    assert not any(issubclass(kind, EMAHook) for kind in kinds)


def test_the_checkpoint_of_a_model_that_is_named_by_its_class_can_be_used(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    config.model.type = WSSLocalizer
    checkpoint = runs.train(config, tmp_path / 'run').checkpoint
    kept = json.loads(read_checkpoint(checkpoint)['meta']['cfg'])
    assert kept['model']['type'] == 'mitouts.models.localizer.WSSLocalizer'
    assert type(Localizer.from_checkpoint(checkpoint).model) is WSSLocalizer


@pytest.mark.parametrize('kind', ['FigureCropDataset', 'mitouts.FigureCropDataset', FigureCropDataset])
def test_a_stage_on_crops_is_known_however_its_data_set_is_named(kind: Any) -> None:
    config = Config({'train_dataloader': {'dataset': {'type': kind}}})
    assert make_stage({'name': 'verifier', 'kind': 'train'}, config).uses_crops
    config.train_dataloader.dataset.type = 'mitouts.PointDataset'
    assert not make_stage({'name': 'localizer', 'kind': 'train'}, config).uses_crops


@pytest.mark.parametrize(
    ('key', 'nearest'),
    [
        ('optim_wrapper__optimizer__type', "'AdamWW' is not in the mitouts::optimizer registry.* Did you mean 'AdamW'"),
        ('val_evaluator__type', "'AdamWW' is not in the mitouts::evaluator registry"),
        ('train_dataloader__dataset__type', "'AdamWW' is not in the mitouts::dataset registry"),
        ('train_dataloader__sampler__type', "'AdamWW' is not in the mitouts::data sampler registry"),
        ('param_scheduler__0__type', "'AdamWW' is not in the mitouts::parameter scheduler registry"),
        ('train_cfg__type', "'AdamWW' is not in the mitouts::loop registry"),
    ],
)
def test_an_unknown_name_is_told_with_its_key_whoever_builds_it(tmp_path: Path, key: str, nearest: str) -> None:
    config = tiny_config(tmp_path, **{key: 'AdamWW'})
    with pytest.raises(UnknownComponentError, match=nearest) as raised:
        runs.train(config, tmp_path / 'run')
    assert raised.value.config_keys == [key.replace('__', '.')]


def test_an_unknown_hook_is_told_with_its_key(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config.custom_hooks = [*config.custom_hooks, dict(type='EMATeacherHok')]
    with pytest.raises(UnknownComponentError, match="Did you mean 'EMATeacherHook'") as raised:
        runs.train(config, tmp_path / 'run')
    assert raised.value.config_keys == ['custom_hooks.4.type']


def test_a_training_says_that_it_validates_within_cases(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1, log_level='INFO')
    for split in ('train', 'val'):
        path = tmp_path / 'data' / f'{split}.json'
        document = json.loads(path.read_text())
        document['info']['mitouts']['within_case_validation'] = True
        for image in document['images']:
            image['case_id'] = image['case_id'].removeprefix('val_').removeprefix('train_')
        path.write_text(json.dumps(document))
    (note,) = runs.check_data(config)
    assert note.startswith('within-case validation: 4 cases both train and validate')
    runs.train(config, tmp_path / 'run')
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert note in log.read_text()
