"""A model with a component from outside of the package, from its training to its counts, in any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_field
from outside import PACKAGE, write_recipe
from stained_patches import draw_patch
from tiny_experiment import write_tiny

from mitouts.imaging.image import read_rgb, write_rgb

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / 'projects' / 'example_aggregator'
OWN = """
custom_imports = dict(imports=['softmax_pooling'], allow_failed_imports=False)
model['head']['aggregator'] = dict(type='SoftmaxAggregator', domain='logit')
"""

pytestmark = pytest.mark.slow


def call(folder: Path, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which has imported nothing yet."""
    path = os.pathsep.join([str(ROOT), str(PROJECT), str(folder)])
    return subprocess.run(
        [sys.executable, '-m', 'mitouts', command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training; its checkpoint is ``run/best.pth``, its images are in ``data``."""
    folder = tmp_path_factory.mktemp('own')
    config = write_tiny(folder)
    config.write_text(config.read_text() + OWN)
    ended = call(folder, 'train', config, '--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1')
    assert ended.returncode == 0, ended.stderr
    write_rgb(folder / 'slide.png', np.tile(draw_field(128, 128, [(40, 50), (90, 80)]), (3, 3, 1)))
    return folder


COMMANDS = {
    'predict': ['data/test_01.png', 'run/best.pth', '--out', 'predictions.json'],
    'calibrate': [
        'run/best.pth',
        '--ann-file',
        'data/test.json',
        '--out',
        'calibrated.pth',
        '--num-bootstrap',
        '10',
    ],
    'count': ['slide.png', '--checkpoint', 'run/best.pth', '--mpp', '0.25', '--out', 'counts'],
}


@pytest.mark.parametrize('command', COMMANDS)
def test_a_checkpoint_needs_its_package_named(command: str, trained: Path) -> None:
    without = call(trained, command, *COMMANDS[command])
    assert without.returncode == 2, without.stderr
    assert "'SoftmaxAggregator' is not in the mitouts::aggregator registry" in without.stderr
    assert "(config key 'model.head.aggregator.type')" in without.stderr
    assert '--import softmax_pooling' in without.stderr
    assert 'Traceback' not in without.stderr
    ended = call(trained, command, '--import', 'softmax_pooling', *COMMANDS[command])
    assert ended.returncode == 0, ended.stderr


def test_patches_are_normalized_by_a_normalizer_from_outside(trained: Path) -> None:
    write_recipe('stain normalizer', trained)
    write_rgb(trained / 'stained.png', draw_patch(90))
    means = ['--stain', 'means', '--stain-reference', 'reference.json', '--workers', 2]
    calls = [
        ['stain-reference', 'stained.png', '--out', 'reference.json'],
        ['prepare', 'data/test.json', '--out', 'patches', '--patch-px', 32, *means],
    ]
    for command, *arguments in calls:
        ended = call(trained, command, *arguments, '--import', PACKAGE)
        assert ended.returncode == 0, ended.stderr
    # Fitted once an image, so its patches have the reference's means together.
    first = min(path.parent for path in (trained / 'patches' / 'images').rglob('*.png'))
    found = np.mean([read_rgb(path).mean(axis=(0, 1)) for path in first.iterdir()], axis=0)
    np.testing.assert_allclose(found, draw_patch(90).mean(axis=(0, 1)), atol=6)
