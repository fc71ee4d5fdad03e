"""Calling a tool as a user does."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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
