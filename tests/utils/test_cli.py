"""The door of every tool: whatever happens inside, it ends in one line and an exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mitouts.errors import ImageError
from mitouts.utils.cli import run

Ended = tuple[int, str]


@pytest.fixture
def end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ended]:
    """Runs something as a tool; its exit code and stderr. Tracebacks go to ``tmp_path``."""
    monkeypatch.delenv('MITOUTS_TRACEBACK', raising=False)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))

    def end(main: Callable[[], Any]) -> Ended:
        with pytest.raises(SystemExit) as ended:
            run(main)
        code = ended.value.code
        assert isinstance(code, int)
        return code, capsys.readouterr().err

    return end


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(('value', 'code'), [(None, 0), (0, 0), (1, 1)])
def test_the_code_of_a_tool_is_its_own(end, value, code: int) -> None:
    assert end(lambda: value) == (code, '')


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (ImageError('image a.png is broken'), 'error: image a.png is broken'),
        (ImageError('two\n  lines'), 'error: two lines'),
        (
            FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.csv'),
            'error: a.csv: no such file or directory',
        ),
        (
            PermissionError(errno.EACCES, 'Permission denied', '/closed/a'),
            'error: /closed/a: permission denied: check the rights of the file and its folder, or name another',
        ),
        (OSError(errno.ENOSPC, 'No space left'), 'error: no space is left on the disk: make room and start again'),
        (OSError('cannot identify image file'), 'error: cannot identify image file'),
        (
            MemoryError(),
            'error: the memory is not enough (MemoryError): use smaller batches or tiles, and fewer workers',
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "error: the memory is not enough (DefaultCPUAllocator: can't allocate memory): use smaller batches or "
            'tiles, and fewer workers',
        ),
        (
            ImportError('libGL.so.1: cannot open shared object file'),
            'error: OpenCV cannot be loaded (libGL.so.1: cannot open shared object file): pip uninstall opencv-python, '
            'then pip install --force-reinstall --no-deps opencv-python-headless, which needs no display',
        ),
    ],
)
def test_what_a_user_can_act_on_is_one_line(end, error: Exception, line: str) -> None:
    assert end(raising(error)) == (2, f'{line}\n')


def test_a_fault_of_the_program_says_so_and_keeps_its_traceback(end, tmp_path: Path) -> None:
    code, err = end(raising(ZeroDivisionError('division\nby zero')))
    (kept,) = tmp_path.glob('mitouts_*.txt')
    assert code == 2
    assert err.startswith('error: unexpected ZeroDivisionError at ')
    assert err.count('\n') == 1
    assert 'division by zero (a fault of the program' in err
    assert str(kept) in err
    assert kept.read_text().startswith('Traceback (most recent call last)')


def test_where_the_traceback_cannot_be_kept_the_variable_is_named(end, monkeypatch) -> None:
    monkeypatch.setattr('tempfile.tempdir', '/nowhere/at/all')
    assert 'which MITOUTS_TRACEBACK=1 in the environment shows' in end(raising(KeyError('x')))[1]


def test_the_variable_lets_the_traceback_through(monkeypatch) -> None:
    monkeypatch.setenv('MITOUTS_TRACEBACK', '1')
    with pytest.raises(KeyError):
        run(raising(KeyError('x')))


def test_an_interrupted_tool_ends_as_a_shell_reports_it(end) -> None:
    assert end(raising(KeyboardInterrupt())) == (130, 'interrupted\n')


class _Broken(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> torch.Tensor:
        raise ImageError('image b.png cannot be read: it is cut')


def test_an_error_in_a_worker_of_a_data_loader_is_one_line(end) -> None:
    assert end(lambda: list(DataLoader(_Broken(), num_workers=1))) == (
        2,
        'error: image b.png cannot be read: it is cut\n',
    )


def _script(folder: Path, body: str) -> list[str]:
    path = folder / 'tool.py'
    path.write_text(f'from mitouts.utils.cli import run\ndef main():\n    {body}\nrun(main)\n')
    return [sys.executable, str(path)]


def test_a_reader_that_is_gone_ends_the_tool_in_silence(tmp_path: Path) -> None:
    command = _script(tmp_path, "print('line\\n' * 100000)")
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, '')


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='/dev/full is not there')
def test_a_full_disk_at_the_last_line_is_an_error(tmp_path: Path) -> None:
    with Path('/dev/full').open('w') as full:
        ended = subprocess.run(
            _script(tmp_path, "print('done')"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (2, 'error: no space is left on the disk: make room and start again\n')
