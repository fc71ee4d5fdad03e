"""Where mmdetection or the compiled operations of mmcv are missing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

from mitouts.engine.config import load_config
from mitouts.errors import ConfigError
from mitouts.registry import MODELS

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = REPOSITORY / 'configs' / 'detection' / 'retinanet_lite0.py'
MISSING = ('mmcv.ops', 'mmdet.models')


@pytest.fixture(params=MISSING)
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    # None in sys.modules stops an import as a missing module does.
    for name in MISSING:
        monkeypatch.setitem(sys.modules, name, None)
    if request.param != MISSING[0]:
        monkeypatch.setitem(sys.modules, MISSING[0], type(sys)(MISSING[0]))
    return request.param


def test_a_detector_names_the_command_that_installs_what_it_needs(missing: str) -> None:
    with pytest.raises(
        ConfigError, match=rf'which are not here \(.*{missing.partition(".")[0]}.*\): run make detection'
    ) as caught:
        MODELS.build(load_config(CONFIG).model)
    assert '\n' not in str(caught.value)


def test_a_detection_config_stops_with_one_line(
    missing: str,
    write_dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = []
    for split in ('train', 'val', 'test'):
        samples = [{'points': [(20.0, 20.0)], 'case_id': f'{split}_1'}, {'case_id': f'{split}_2'}]
        options.append(f'{split}_dataloader.dataset.ann_file={write_dataset(samples, split)}')
    options += ['train_dataloader.batch_size=2', 'log_level=WARNING']
    arguments = ['train.py', str(CONFIG), '--work-dir', str(tmp_path / 'run'), '--cfg-options', *options]
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit, match=r'^2$'):
        runpy.run_path(str(REPOSITORY / 'tools' / 'train.py'), run_name='__main__')
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith('error: ')] == lines[-1:]
    assert lines[-1].endswith('run make detection')
    assert not any('Traceback' in line for line in lines)


def test_nothing_else_needs_them(missing: str) -> None:
    model = MODELS.build(load_config(REPOSITORY / 'configs' / 'wss' / 'lite0_max_weak_phantom.py').model).eval()
    assert model(torch.zeros(1, 3, 64, 64)).image_logit.shape == (1,)
    assert MODELS.build(dict(type='DiscMasks')).radius_px > 0
