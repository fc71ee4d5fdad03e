"""A detector from the command line: trained, tested, and scored again from the file that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_detection import CONFIGS, IMAGES, REPOSITORY, overrides, write_phantom

from mitouts.engine.config import load_config

CONFIG = CONFIGS / 'retinanet_lite0.py'


def run(tool: str, *arguments: object) -> str:
    """Run a tool as a user does; what it says."""
    command = [sys.executable, str(REPOSITORY / 'tools' / tool), *map(str, arguments)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def evaluate(data: Path, predictions: Path, score_threshold: float, matching: str) -> dict[str, Any]:
    arguments = ('--radius-px', 30, '--score-thr', score_threshold, '--matching', matching)
    return json.loads(run('analysis/evaluate_points.py', data / 'test.json', predictions, *arguments))


def test_a_detector_is_trained_tested_and_scored_from_its_predictions(tmp_path: Path) -> None:
    data = write_phantom(tmp_path / 'data')
    options = ('--cfg-options', *overrides(load_config(CONFIG), data))
    work_dir, predictions = tmp_path / 'run', tmp_path / 'predictions.json'
    assert 'best checkpoint: ' in run('train.py', CONFIG, '--work-dir', work_dir, *options)
    test_dir = work_dir / 'test'
    run('test.py', CONFIG, work_dir / 'best.pth', '--out', predictions, '--work-dir', test_dir, *options)
    (row,) = json.loads((test_dir / 'results.json').read_text())['stages']
    assert row['test_images'] == IMAGES
    counts = ('tp', 'fp', 'fn', 'precision', 'recall', 'f1')
    for matching in ('one_to_one', 'presence'):
        scored = evaluate(data, predictions, row['map_threshold'], matching)
        assert scored['tp'] + scored['fp'] > 0
        assert {key: scored[key] for key in counts} == pytest.approx({key: row[matching][key] for key in counts})
