"""Every config loads, builds its model, dumps, reloads and compares equal."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mitouts.datasets.tissue_dataset import code_table
from mitouts.engine.config import load_config, resolve
from mitouts.engine.stages import load_experiment
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.segmentation import UNKNOWN_INDEX
from mitouts.registry import EVALUATOR, HOOKS, MODELS, TASK_UTILS, TRANSFORMS

REPOSITORY = Path(__file__).resolve().parents[1]
ALL = sorted(path for path in (REPOSITORY / 'configs').rglob('*.py') if '_base_' not in path.parts)
STAGED = [path for path in ALL if path.parent.name == 'uts']
TISSUE = [path for path in ALL if path.parent.name == 'tissue']
# Protocols of counting, which train nothing: tests/tools/test_run_protocol.py.
MAI = [path for path in ALL if path.parent.name == 'mai']
PLAIN = [path for path in ALL if path not in STAGED + TISSUE + MAI]


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY / 'configs'))


@pytest.mark.parametrize('path', ALL, ids=name)
def test_config_survives_a_dump(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    config.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py')._cfg_dict.to_dict() == config._cfg_dict.to_dict()


@pytest.mark.parametrize('path', PLAIN, ids=name)
def test_config_builds_its_parts(path: Path) -> None:
    config = resolve(load_config(path))
    config.model.backbone.weights = None
    model = MODELS.build(config.model).eval()
    assert isinstance(model.geometry, FeatureGeometry)
    output = model(torch.zeros(1, 3, 96, 96), mode='tensor')
    assert output.image_logit.shape == (1,)
    for split in ('train', 'val', 'test'):
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            TRANSFORMS.build(step)
    assert EVALUATOR.build(config.val_evaluator).thresholds == 'select'
    assert EVALUATOR.build(config.test_evaluator).thresholds == 'checkpoint'
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        HOOKS.build(hook)
    TASK_UTILS.build(config.distillation.criterion)
    assert all(scheduler.get('T_max') != 'max_epochs' for scheduler in config.param_scheduler)


@pytest.mark.parametrize('path', TISSUE, ids=name)
def test_tissue_config_builds_its_parts(path: Path) -> None:
    config = resolve(load_config(path))
    model = MODELS.build(config.model).eval()
    side = 2 * model.divisor_px
    assert model(torch.zeros(1, 3, side, side), mode='tensor').shape == (1, 5, side, side)
    for split in ('train', 'val', 'test'):
        dataset = config[f'{split}_dataloader'].dataset
        table = code_table(dataset.classes, dataset.label_map, dataset.ignore_codes)
        assert sorted(code for code in range(256) if table[code] != UNKNOWN_INDEX) == list(range(22))
        for step in dataset.pipeline:
            TRANSFORMS.build(step)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        EVALUATOR.build(evaluator)
    for hook in [*config.custom_hooks, *config.default_hooks.values()]:
        HOOKS.build(hook)
    assert config.default_hooks.checkpoint.save_best == 'dice/mean'
    assert config.model.num_classes == len(config.classes)


@pytest.mark.parametrize('path', STAGED, ids=name)
def test_staged_config_names_configs_that_exist(path: Path, tmp_path: Path) -> None:
    experiment = load_experiment(path, tmp_path)
    assert [stage.kind for stage in experiment.stages][:3] == ['train', 'distill', 'train']
    teacher, student = experiment.stages[0].config, experiment.stages[2].config
    recipes = [
        [step['recipe'] for step in config.train_dataloader.dataset.pipeline if step['type'] == 'Augment']
        for config in (teacher, student)
    ]
    assert recipes == [['beta'], ['alpha']]
