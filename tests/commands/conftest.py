"""Models with random weights, and one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from calling import call as call
from calling import convert as convert

SLIDE_MPP = 2.0


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
