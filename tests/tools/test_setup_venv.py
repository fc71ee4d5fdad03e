"""tools/setup_venv.sh and tools/keep_headless_opencv.sh on environments that were left half-made; pip only pretends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# pip notes its words, and is there after ensurepip or where a file says so; so are the other packages.
PYTHON = """#!/usr/bin/env bash
cd {folder}
case "$*" in
  '-m pip --version') [ -e pip ] ;;
  '-m ensurepip') echo ensurepip >>calls; touch pip ;;
  '-m pip show --quiet opencv-python') [ -e opencv-python ] ;;
  '-m pip uninstall'*) echo uninstall "${{@:$#}}" >>calls; rm opencv-python cv2 ;;
  '-m pip install'*) echo install "${{@:$#}}" >>calls; touch cv2 ;;
  '-c import cv2'*) [ -e cv2 ] ;;
  *) exec {python} "$@" ;;
esac
"""

Setup = Callable[..., list[str]]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Calls a script on an environment with some packages; what pip was told."""

    def run(script: str, place: str, *there: str) -> list[str]:
        program = tmp_path / 'venv' / 'bin' / 'python'
        program.parent.mkdir(parents=True)
        program.write_text(PYTHON.format(folder=tmp_path, python=sys.executable))
        program.chmod(0o755)
        for name in there:
            (tmp_path / name).touch()
        done = subprocess.run(
            ['bash', f'tools/{script}', str(tmp_path / place)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        calls = tmp_path / 'calls'
        return calls.read_text().splitlines() if calls.exists() else []

    return run


def test_an_environment_without_pip_gets_one(setup: Setup) -> None:
    assert setup('setup_venv.sh', 'venv') == ['ensurepip', 'install .[dev,review]']


def test_an_environment_that_is_whole_is_updated_alone(setup: Setup) -> None:
    assert setup('setup_venv.sh', 'venv', 'pip', 'cv2') == ['install .[dev,review]']


def test_the_headless_build_is_laid_anew_over_what_the_other_one_took_away(setup: Setup) -> None:
    calls = setup('keep_headless_opencv.sh', 'venv/bin/python', 'pip', 'cv2', 'opencv-python')
    assert calls == ['uninstall opencv-python', 'install opencv-python-headless']


def test_the_headless_build_is_laid_anew_where_an_earlier_call_was_stopped(setup: Setup) -> None:
    assert setup('keep_headless_opencv.sh', 'venv/bin/python', 'pip') == ['install opencv-python-headless']


def test_the_headless_build_alone_stays(setup: Setup) -> None:
    assert setup('keep_headless_opencv.sh', 'venv/bin/python', 'pip', 'cv2') == []
