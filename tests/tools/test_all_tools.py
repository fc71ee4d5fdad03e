"""What holds for every file under tools/: it is three lines over a command, or ends as a command does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from calling import Call

from mitouts.commands.main import commands

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
NAMES = sorted(path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py'))
LINES = """from {module} import main
from mitouts.utils.cli import run

if __name__ == '__main__':
    run(main)
"""
OWN = {
    'make_commands_page.py': '--unknown',
    'benchmarks/bench_count.py': '--unknown',
    'benchmarks/bench_matching.py': '--images none',
    'benchmarks/bench_patches.py': '--unknown',
    'benchmarks/bench_phantom.py': '--unknown',
    'benchmarks/bench_review.py': '--unknown',
    'benchmarks/bench_training_step.py': '--unknown',
    'benchmarks/stain.py': '--unknown',
    'benchmarks/wsi.py': '--models none',
    'dataset_converters/amibr.py': 'BROKEN --out OUT.json',
    'dataset_converters/ccmct.py': 'BROKEN --out OUT.json',
    'dataset_converters/grand_challenge.py': 'BROKEN --out OUT.json',
    'dataset_converters/midog.py': 'BROKEN --out OUT.json',
    'dataset_converters/mitos14.py': 'BROKEN --out OUT.json',
    'dataset_converters/qupath_geojson.py': 'BROKEN --out OUT.json',
    'dataset_converters/sliderunner.py': 'BROKEN --out OUT.json',
    'dataset_converters/tupac16.py': 'BROKEN --out OUT.json',
}
"""What is no command yet or none at all -> arguments that are wrong."""


def test_the_page_of_commands_is_current() -> None:
    page = runpy.run_path(str(TOOLS / 'make_commands_page.py'))['page']()
    assert (TOOLS.parent / 'docs' / 'commands.md').read_text() == page, 'run: python tools/make_commands_page.py'
    # With a command, or among those without one.
    assert [name for name in NAMES if f'`tools/{name}`' not in page] == []


def _module(name: str) -> str | None:
    found = re.match(r'from (mitouts\.commands\.\S+) import main\n', (TOOLS / name).read_text())
    return found and found[1]


@pytest.mark.parametrize('name', [name for name in NAMES if name not in OWN])
def test_a_tool_is_three_lines_over_a_command_and_its_help_is_the_same(name: str, call: Call) -> None:
    module = _module(name)
    assert (TOOLS / name).read_text() == LINES.format(module=module)
    (command,) = (command for command, place in commands().items() if place == module)
    (_, out, _), (_, expected, _) = call(name, '--help'), call(command, '--help')
    assert _usage_apart(out) == _usage_apart(expected)


def _usage_apart(text: str) -> list[str]:
    """The words of a help, without the name of the program."""
    return text.partition('[-h]')[2].split()


@pytest.mark.parametrize('name', OWN)
def test_broken_input_ends_in_one_line(name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MITOUTS_TRACEBACK', raising=False)
    broken = tmp_path / 'broken.json'
    broken.write_bytes(b'\x00\xff neither JSON nor an image')
    words = OWN[name].replace('BROKEN', str(broken)).replace('OUT', str(tmp_path / 'out')).split()
    code, _, err = call(name, *words)
    assert code == 2, err
    assert 'Traceback' not in err
    errors = [line for line in err.splitlines() if 'error: ' in line]
    assert len(errors) == 1, err
