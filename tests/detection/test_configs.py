"""Every detection config trains, predicts, and leaves what the tools read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_detection import CONFIGS, IMAGES, SIZE_PX, tiny, write_phantom

from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.exchange.predictions import read_predictions

# mmdetection leaves the order of a grid's axes to torch's default.
pytestmark = pytest.mark.filterwarnings('ignore:torch.meshgrid:UserWarning')

DETECTORS = [
    path
    for path in sorted(CONFIGS.glob('*.py'))
    if load_config(path).get('model', {}).get('type') == 'DetectorLocalizer'
]


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp('phantom'))


@pytest.fixture
def work_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: a checkpoint of the larger models takes 0.5 GB."""
    yield tmp_path / 'run'
    shutil.rmtree(tmp_path / 'run', ignore_errors=True)


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *_: Any, **__: Any) -> None:
        pytest.fail(f'{url} would have been downloaded')

    for name in ('load_state_dict_from_url', 'download_url_to_file'):
        monkeypatch.setattr(torch.hub, name, refuse)
    monkeypatch.setattr('mmengine.runner.checkpoint.load_from_http', refuse)
    monkeypatch.setattr('urllib.request.urlopen', refuse)


@pytest.fixture(autouse=True)
def plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of a dumped config takes as long as the training, and has no part in what is tested."""
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))


@pytest.mark.parametrize('path', DETECTORS, ids=lambda path: path.stem)
def test_a_detector_trains_and_predicts(path: Path, data: Path, work_dir: Path) -> None:
    config = tiny(path, data)
    trained = runs.train(config, work_dir)
    tested = runs.evaluate(config, trained.checkpoint, work_dir / 'test', out=work_dir / 'predictions.json')
    results = tested.results
    assert (trained.images, results['images']) == (IMAGES, IMAGES)
    assert {'image', 'one_to_one', 'presence', 'froc', 'coco', 'image_threshold', 'map_threshold'} <= set(results)
    assert results['drift_px'] == [0.0, 0.0]
    predictions = read_predictions(work_dir / 'predictions.json')
    assert predictions.info['map_threshold'] == results['map_threshold']
    for image_id, points in predictions.points.items():
        assert (points[:, :2] >= -0.5).all()
        assert (points[:, :2] < SIZE_PX - 0.5).all()
        assert (points[:, 2] >= 0).all()
        assert (points[:, 2] <= 1).all()
        assert (np.diff(points[:, 2]) <= 0).all()
        assert predictions.scores[image_id] == pytest.approx(points[:, 2].max(initial=0.0))
