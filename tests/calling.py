"""Calling a command, or a file under ``tools/``, as a user does."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mitouts.commands.main import main

TOOLS = Path(__file__).resolve().parents[1] / 'tools'

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command (``plot curves``) or a tool (``benchmarks/stain.py``); gives its exit code, stdout and stderr."""

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        words = name.split() if is_command(name) else [Path(name).name]
        monkeypatch.setattr(sys, 'argv', ['mitouts'] * is_command(name) + [*words, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main() if is_command(name) else runpy.run_path(str(TOOLS / name), run_name='__main__')
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


def is_command(name: str) -> bool:
    return not name.endswith('.py')
