"""Calling a tool as a user does."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SLIDE_MPP = 2.0
TOOLS = Path(__file__).resolve().parents[2] / 'tools'

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a tool with arguments; gives its exit code, stdout and stderr."""

    def run(tool: str, *arguments: object) -> tuple[int, str, str]:
        path = TOOLS / tool
        monkeypatch.setattr(sys, 'argv', [path.name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(path), run_name='__main__')
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run


@pytest.fixture
def convert(call: Call) -> Callable[..., tuple[int, str]]:
    """Runs a converter; its exit code and stderr."""

    def run(tool: str, *arguments: object) -> tuple[int, str]:
        code, out, err = call(f'dataset_converters/{tool}.py', *arguments)
        assert out == ''
        return code, err

    return run


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A localizer with random weights that finds something on tiny slides."""
    from untrained import make_model, save_checkpoint, smooth_tissue, spread_scores

    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': SLIDE_MPP}
    spread_scores(model, smooth_tissue(480, 480))
    return save_checkpoint(tmp_path_factory.mktemp('model') / 'best.pth', model)


@pytest.fixture(scope='module')
def tissue_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tissue model with random weights."""
    import torch
    from tissue_experiment import CONFIG

    from mitouts.registry import MODELS

    scope: dict[str, Any] = {}
    exec(CONFIG, scope)
    torch.manual_seed(0)
    model = MODELS.build(scope['model'])
    path = tmp_path_factory.mktemp('tissue') / 'tissue.pth'
    config = {'model': scope['model'], 'default_scope': 'mitouts'}
    meta = {'cfg': json.dumps(config), 'mitouts': {'mpp': SLIDE_MPP, 'classes': ['tumour', 'other']}}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.delenv('WORLD_SIZE', raising=False)
