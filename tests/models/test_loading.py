"""A model from a checkpoint: what it is built from, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from untrained import make_model, save_checkpoint

from mitouts.errors import CheckpointError, ConfigError
from mitouts.inference import Localizer
from mitouts.models import WSSLocalizer
from mitouts.models.loading import load_model, move_to
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


OWN = """
from mitouts.models.aggregators import MaxAggregator
from mitouts.registry import AGGREGATORS

@AGGREGATORS.register_module()
class {name}(MaxAggregator):
    pass
"""


def _with_own(path: Path, folder: Path, name: str, **config: Any) -> str:
    """Put an aggregator of its own into a checkpoint's config; the module that registers it is in the folder."""
    module = f'own_{name.lower()}'
    (folder / f'{module}.py').write_text(OWN.format(name=name))
    content = json.loads(torch.load(path, weights_only=True)['meta']['cfg'])
    content['model']['head']['aggregator'] = {'type': name}
    _change(path, cfg=json.dumps({**content, **config}))
    return module


def test_a_component_of_ones_own_is_named_by_whoever_loads_it(checkpoint: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = _with_own(checkpoint, tmp_path, 'XFirst', custom_imports={'imports': ['own_xfirst']})
    with pytest.raises(UnknownComponentError) as raised:
        Localizer.from_checkpoint(checkpoint)
    message = str(raised.value)
    assert message.startswith(f"checkpoint {checkpoint}: 'XFirst' is not in the mitouts::aggregator registry")
    assert "(config key 'model.head.aggregator.type')" in message
    assert 'if you trust that code, add --import own_xfirst' in message
    assert module not in sys.modules
    assert type(Localizer.from_checkpoint(checkpoint, imports=[module]).model.head.aggregator).__name__ == 'XFirst'


@pytest.mark.parametrize('imports', [None, {'imports': 'a b; rm'}, {'imports': ['x\ny']}, 5])
def test_without_a_package_to_suggest_the_option_is_named(checkpoint: Path, tmp_path: Path, imports: Any) -> None:
    _with_own(checkpoint, tmp_path, 'XSecond', custom_imports=imports)
    with pytest.raises(UnknownComponentError, match=r'name the package that registers it: --import PACKAGE, with'):
        Localizer.from_checkpoint(checkpoint)


def test_a_package_that_cannot_be_imported_is_an_error_of_the_arguments(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="'own_nowhere' cannot be imported"):
        Localizer.from_checkpoint(checkpoint, imports=['own_nowhere'])


@pytest.mark.parametrize('config', ['[]', '{}', '{"model": 3}', '{"model": {}}'])
def test_a_config_without_a_model_is_refused(checkpoint: Path, config: str) -> None:
    _change(checkpoint, cfg=config)
    with pytest.raises(CheckpointError, match='is not JSON with a model'):
        _load(checkpoint)


def test_a_model_that_cannot_be_built_is_an_error_of_the_checkpoint(checkpoint: Path) -> None:
    content = json.loads(torch.load(checkpoint, weights_only=True)['meta']['cfg'])
    content['model']['head']['nonsense'] = 1
    _change(checkpoint, cfg=json.dumps(content))
    with pytest.raises(CheckpointError, match=r'cannot be built \(TypeError: .*nonsense'):
        _load(checkpoint)
