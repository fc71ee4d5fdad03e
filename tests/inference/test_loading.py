"""A model from a checkpoint: what it is built from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from untrained import make_model, save_checkpoint

from mitouts.errors import CheckpointError, ConfigError
from mitouts.inference import Localizer
from mitouts.inference.loading import load_model, move_to
from mitouts.models import WSSLocalizer
from mitouts.registry import MODELS, UnknownComponentError

CALIBRATION = {'image_threshold': 0.5, 'map_threshold': 0.4}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model = make_model()
    model.calibration = dict(CALIBRATION)
    return save_checkpoint(tmp_path / 'best.pth', model)


def _load(path: Path) -> WSSLocalizer:
    return load_model(path, WSSLocalizer, expected='a localizer', needs='thresholds', advice='train one')


def _change(path: Path, **meta: Any) -> None:
    content = torch.load(path, weights_only=True)
    content['meta'].update(meta)
    torch.save(content, path)


def test_weights_and_calibration_come_back(checkpoint: Path) -> None:
    model = _load(checkpoint)
    assert model.calibration == CALIBRATION
    wanted = make_model().state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in model.state_dict().items())


def test_a_tissue_model_is_no_localizer(tmp_path: Path) -> None:
    config = {'type': 'TissueUNet', 'channels': [4, 8], 'num_res_units': 0}
    meta = {'cfg': json.dumps({'model': config}), 'mitouts': {'mpp': 0.5}}
    torch.save({'meta': meta, 'state_dict': MODELS.build(config).state_dict()}, tmp_path / 'tissue.pth')
    with pytest.raises(CheckpointError, match=r'is of a TissueUNet, expected a localizer: use best'):
        Localizer.from_checkpoint(tmp_path / 'tissue.pth')


def test_what_is_missing_is_named_with_what_to_do(checkpoint: Path) -> None:
    _change(checkpoint, mitouts={})
    with pytest.raises(CheckpointError, match=r'best\.pth carries no thresholds in its meta: train one'):
        _load(checkpoint)


def test_a_config_that_is_not_json_is_refused(checkpoint: Path) -> None:
    _change(checkpoint, cfg='model = dict()')
    with pytest.raises(CheckpointError, match=r'the config in checkpoint .*best\.pth is not JSON'):
        _load(checkpoint)


def test_a_model_on_its_device_predicts() -> None:
    model = make_model().train()
    assert move_to(model, 'cpu') == torch.device('cpu')
    assert not model.training
    with pytest.raises(ConfigError, match=r"device 'nowhere' cannot be used .*: give cpu"):
        move_to(model, 'nowhere')


@pytest.mark.parametrize('scope', [{}, {'_scope_': 'mmengine'}])
def test_nothing_that_a_checkpoint_names_is_executed(scope: dict[str, str], checkpoint: Path, tmp_path: Path) -> None:
    """Neither at the top nor in a part that another package's registry would build."""
    command = {'type': 'os.system', 'command': f'touch {tmp_path / "executed"}', **scope}
    model = json.loads(torch.load(checkpoint, weights_only=True)['meta']['cfg'])['model']
    for hostile in (command, {**model, 'backbone': command}):
        _change(checkpoint, cfg=json.dumps({'model': hostile}))
        with pytest.raises(UnknownComponentError, match=r'os\.system'):
            _load(checkpoint)
    assert not (tmp_path / 'executed').exists()
