"""Every detection config trains, predicts, and leaves what the tools read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_detection import CONFIGS, IMAGES, SIZE_PX, staged_overrides, tiny, write_phantom

from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.engine.stages import load_experiment
from mitouts.formats.predictions import Predictions, read_predictions

# mmdetection leaves the order of a grid's axes to torch's default.
pytestmark = pytest.mark.filterwarnings('ignore:torch.meshgrid:UserWarning')

LOADED = {path: load_config(path) for path in sorted(CONFIGS.glob('*.py'))}
CASCADES = [path for path, config in LOADED.items() if config.get('stages')]
# Verifiers and what a cascade is put together of are parts of the staged configs.
PARTS = ('verifier_', 'cascade-model_')
TRAINED = [path for path in LOADED if path not in CASCADES and not path.name.startswith(PARTS)]


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


@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_a_model_trains_and_predicts(path: Path, data: Path, work_dir: Path) -> None:
    config = tiny(path, data)
    trained = runs.train(config, work_dir)
    tested = runs.evaluate(config, trained.checkpoint, work_dir / 'test', out=work_dir / 'predictions.json')
    results = tested.results
    assert (trained.images, results['images']) == (IMAGES, IMAGES)
    assert {'image', 'one_to_one', 'presence', 'froc', 'coco', 'image_threshold', 'map_threshold'} <= set(results)
    predictions = read_predictions(work_dir / 'predictions.json')
    assert predictions.info['map_threshold'] == results['map_threshold']
    _check_points(predictions)
    if config.model.type == 'DetectorLocalizer':
        assert results['drift_px'] == [0.0, 0.0]
        for image in predictions.images.values():
            assert image.score == pytest.approx(image.points[:, 2].max(initial=0.0))


@pytest.mark.parametrize('path', CASCADES, ids=lambda path: path.stem)
def test_a_cascade_trains_and_predicts(path: Path, data: Path, work_dir: Path) -> None:
    names = [stage.name for stage in LOADED[path].stages]
    results = load_experiment(path, work_dir, staged_overrides(names, data)).run()
    row = results['stages'][-1]
    assert (row['stage'], row['test_images']) == ('cascade', IMAGES)
    assert {'image', 'one_to_one', 'presence', 'froc', 'coco', 'image_threshold', 'map_threshold'} <= set(row)
    assert results['verifiers'].keys() == {'verifier'}
    predictions = read_predictions(work_dir / 'cascade' / 'predictions.json')
    assert len(predictions.images) == IMAGES
    _check_points(predictions)


def _check_points(predictions: Predictions) -> None:
    for points in (image.points for image in predictions.images.values()):
        assert (points[:, :2] >= -0.5).all()
        assert (points[:, :2] < SIZE_PX - 0.5).all()
        assert (points[:, 2] >= 0).all()
        assert (points[:, 2] <= 1).all()
        assert (np.diff(points[:, 2]) <= 0).all()
