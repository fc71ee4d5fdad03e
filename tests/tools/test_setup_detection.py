"""tools/setup_detection.sh with a Python whose pip only pretends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = 'tools/setup_detection.sh'
MMCV = re.search(r'^onedl-mmcv==(.+)$', (ROOT / 'constraints.txt').read_text(), re.MULTILINE)[1]
WHEEL = f'onedl_mmcv-{MMCV}-cp311-cp311-linux_x86_64.whl'

# Compiling is `pip wheel`, which writes a wheel into the folder after --wheel-dir. Other calls of pip do nothing, and
# the check at the end finds everything. What else is called goes to a real Python.
PYTHON = """#!/usr/bin/env bash
case "$*" in
  '-m pip wheel'*)
    echo compiled >>"$CALLS"
    {compile}
    while [ "$1" != --wheel-dir ]; do shift; done
    echo content >"$2/{wheel}"
    ;;
  '-m pip show'*) exit 1 ;;
  '-m pip install'*) echo "$@" >>"$CALLS" ;;
  '-c import mmcv.ops'*) ;;
  *) exec {python} "$@" ;;
esac
"""
TORCH = """
import types
__version__ = '{torch}'
cuda = types.SimpleNamespace(is_available=lambda: {gpu})
version = types.SimpleNamespace(cuda='13.0', hip=None)
"""

Prepare = Callable[..., dict[str, str]]
needs_lock = pytest.mark.skipif(shutil.which('flock') is None, reason='needs flock (util-linux)')


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Makes an environment named ``venv`` and gives the variables that the script is run with."""

    def write(compile: str = '', torch: str = '9.9.9', gpu: bool = False) -> dict[str, str]:
        program = tmp_path / 'venv' / 'bin' / 'python'
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PYTHON.format(compile=compile, wheel=WHEEL, python=sys.executable))
        program.chmod(0o755)
        modules = tmp_path / 'modules'
        modules.mkdir(exist_ok=True)
        (modules / 'torch.py').write_text(TORCH.format(torch=torch, gpu=gpu))
        changes = {
            'PYTHONPATH': str(modules),
            'MITOUTS_CACHE': str(tmp_path / 'cache'),
            'CALLS': str(tmp_path / 'calls'),
            'CXX': 'true',
        }
        return {**os.environ, **changes}

    return write


def _run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ['bash', SCRIPT, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def _compiled(tmp_path: Path) -> int:
    calls = tmp_path / 'calls'
    return calls.read_text().split('\n').count('compiled') if calls.exists() else 0


def test_compiles_once_for_all_clones(prepare: Prepare, tmp_path: Path) -> None:
    environment = prepare()
    assert _run(environment, '--wheel', tmp_path / 'venv').returncode == 1
    first = _run(environment, tmp_path / 'venv')
    assert first.returncode == 0, first.stderr
    assert 'mmdetection is ready' in first.stdout
    assert _run(environment, tmp_path / 'venv').returncode == 0
    assert _compiled(tmp_path) == 1
    kept = _run(environment, '--wheel', tmp_path / 'venv')
    assert kept.returncode == 0
    wheel = Path(kept.stdout.strip())
    assert wheel.name == WHEEL
    assert wheel.is_relative_to(tmp_path / 'cache' / 'wheels')
    calls = (tmp_path / 'calls').read_text()
    assert calls.count(f'--no-deps --force-reinstall {wheel}') == 2
    assert calls.count('--constraint constraints.txt --editable .[detection]') == 2


def test_asking_for_the_wheel_writes_nothing_and_says_where_it_looked(prepare: Prepare, tmp_path: Path) -> None:
    asked = _run(prepare(), '--wheel', tmp_path / 'venv')
    assert (asked.returncode, asked.stdout) == (1, '')
    assert asked.stderr.startswith(
        f'no compiled operations of mmcv in {tmp_path}/cache/wheels/mmcv{MMCV}-torch9.9.9-cp'
    )
    assert not (tmp_path / 'cache').exists()


@pytest.mark.parametrize('other', [{'torch': '9.9.10'}, {'gpu': True}])
def test_a_wheel_for_another_torch_or_for_a_gpu_is_not_taken(
    prepare: Prepare, tmp_path: Path, other: dict[str, str]
) -> None:
    assert _run(prepare(), tmp_path / 'venv').returncode == 0
    assert _run(prepare(**other), '--wheel', tmp_path / 'venv').returncode == 1


@needs_lock
def test_two_clones_at_once_compile_once(prepare: Prepare, tmp_path: Path) -> None:
    environment = prepare(compile='sleep 1')
    command = ['bash', SCRIPT, str(tmp_path / 'venv')]
    running = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in '12']
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert all('mmdetection is ready' in text for text in said)
    assert _compiled(tmp_path) == 1


def test_a_failed_build_shows_its_log_and_leaves_no_wheel(prepare: Prepare, tmp_path: Path) -> None:
    environment = prepare(compile='echo "nms.cpp:7: no such type"; exit 1')
    failed = _run(environment, tmp_path / 'venv')
    assert failed.returncode == 1
    assert 'nms.cpp:7: no such type' in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("error: mmcv's operations could not be compiled")
    assert not list((tmp_path / 'cache').rglob('building.*'))
    assert _run(environment, '--wheel', tmp_path / 'venv').returncode == 1


@needs_lock
def test_a_killed_build_is_cleared_away_by_the_next(prepare: Prepare, tmp_path: Path) -> None:
    killed = _run(prepare(compile='kill -KILL $PPID; exit 1'), tmp_path / 'venv')
    assert killed.returncode != 0
    assert list((tmp_path / 'cache').rglob('building.*'))
    assert _run(prepare(), tmp_path / 'venv').returncode == 0
    assert not list((tmp_path / 'cache').rglob('building.*'))


def test_without_a_compiler_it_says_what_to_install(prepare: Prepare, tmp_path: Path) -> None:
    ended = _run(prepare() | {'CXX': 'no-such-compiler'}, tmp_path / 'venv')
    assert ended.returncode == 2
    assert ended.stderr.startswith('error: no C++ compiler was found')


def test_without_an_environment_it_says_how_to_make_one(prepare: Prepare, tmp_path: Path) -> None:
    for arguments in ((tmp_path / 'nowhere',), ('--wheel', tmp_path / 'nowhere')):
        ended = _run(prepare(), *arguments)
        assert ended.returncode == 2
        assert ended.stderr == f'error: no virtual environment at {tmp_path}/nowhere; run: make setup\n'
