"""What holds for every command: how it is found, what its parser loads, how its options gather, and how it ends."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import Call

from mitouts.commands.main import GROUPS, commands, describe, help_line, main
from mitouts.utils.arguments import Gather

COMMANDS = commands()
HEAVY = ('torch', 'mmengine', 'mmcv', 'cv2', 'matplotlib', 'scipy', 'sklearn', 'monai', 'tifffile', 'mitouts.registry')

BROKEN = {
    'browse': 'BROKEN',
    'calibrate': 'BROKEN --ann-file BROKEN --out OUT.pth',
    'cascade': 'propose BROKEN BROKEN',
    'convert': 'midog BROKEN --out OUT.json',
    'correlate': 'BROKEN --x a --y b',
    'costs': '--spec BROKEN',
    'count': 'BROKEN --checkpoint BROKEN --out OUT',
    'describe': 'BROKEN',
    'disagreement': 'BROKEN',
    'distill': 'BROKEN BROKEN',
    'evaluate': 'BROKEN BROKEN --radius-px 5 --score-thr 0.5',
    'hard-samples': 'BROKEN --out OUT.png',
    'join-frames': 'BROKEN --out OUT',
    'plot ablation': 'BROKEN --out OUT.png --x-name x --rows a/b=1',
    'plot confusion': 'BROKEN --out OUT.png',
    'plot costs': 'BROKEN --costs-file BROKEN --out OUT.png',
    'plot curves': 'BROKEN --out OUT.png',
    'plot froc': 'BROKEN --out OUT.png',
    'predict': 'BROKEN BROKEN --out OUT.json',
    'prepare': 'BROKEN --out OUT',
    'protocol': 'BROKEN --out OUT',
    'publish': 'BROKEN OUT.pth',
    'reference-hotspots': 'BROKEN --counts BROKEN --out OUT.csv',
    'review': 'serve BROKEN --annotations BROKEN',
    'stain-reference': 'BROKEN --out OUT.json',
    'suite': 'BROKEN',
    'synthesize amibr-fields': 'BROKEN --out OUT',
    'synthesize phantom': '--out BROKEN',
    'synthesize slide': '--out BROKEN/slide',
    'synthesize tissue': '--out BROKEN',
    'tables': '--spec BROKEN',
    'test': 'BROKEN BROKEN',
    'train': 'BROKEN',
    'update-results': 'BROKEN --run BROKEN',
}
"""Command -> arguments, with BROKEN for a file that is nothing and OUT for what would be written."""


def _options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                yield from _options(part)
        elif action.option_strings:
            yield action


def test_every_command_is_tried_with_broken_input() -> None:
    assert set(BROKEN) | {'env', 'models'} >= set(COMMANDS)


def test_parsers_and_the_list_of_commands_load_nothing_heavy() -> None:
    program = (
        'import importlib, sys\n'
        'from mitouts.commands.main import commands, describe\n'
        'describe()\n'
        "listing = [name for name in sys.modules if name.split('.')[0] in ('numpy', 'rich')]\n"
        'for module in commands().values():\n'
        '    importlib.import_module(module).build_parser().format_help()\n'
        f'print(listing, [name for name in {HEAVY!r} if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    assert done.stdout == '[] []\n'


def test_every_command_is_listed_with_what_it_does() -> None:
    text = ' '.join(describe().split())
    for name in COMMANDS:
        first, *rest = name.split()
        page = ' '.join(describe(first).split()) if rest else text
        assert f'{(rest or [first])[0]} {help_line(name)}' in page
    assert {name for names in GROUPS.values() for name in names} >= {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize('name', COMMANDS)
def test_help_and_options_that_take_several_values(name: str, call: Call) -> None:
    module = importlib.import_module(COMMANDS[name])
    assert module.__doc__.splitlines()[0].rstrip('.:') == help_line(name)
    several = [action for action in _options(module.build_parser()) if action.nargs in ('+', '*')]
    assert [action.option_strings for action in several if not isinstance(action, Gather)] == []
    code, out, err = call(name, '--help')
    assert (code, err) == (0, '')
    assert out.startswith(f'usage: mitouts {name} ')


@pytest.mark.parametrize('name', BROKEN)
def test_broken_input_ends_in_one_line(name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MITOUTS_TRACEBACK', raising=False)
    broken = tmp_path / 'broken.json'
    broken.write_bytes(b'\x00\xff neither JSON nor an image')
    words = BROKEN[name].replace('BROKEN', str(broken)).replace('OUT', str(tmp_path / 'out')).split()
    code, _, err = call(name, *words)
    assert code == 2, err
    assert 'Traceback' not in err
    assert 'a fault of the program' not in err
    errors = [line for line in err.splitlines() if 'error: ' in line]
    assert len(errors) == 1, err


@pytest.mark.parametrize(
    ('words', 'code', 'said'),
    [
        (['--help'], 0, 'usage: mitouts NAME'),
        ([], 2, 'usage: mitouts NAME'),
        (['plot', '-h'], 0, 'usage: mitouts plot NAME'),
        (['plot'], 2, 'usage: mitouts plot NAME'),
        (['--version'], 0, 'mitouts 0'),
        (['trian'], 2, "error: there is no command 'trian'; did you mean train? mitouts --help lists all\n"),
        (['plot', 'curve'], 2, "error: there is no command 'plot curve'; did you mean plot curves"),
        (
            ['synthesize', 'qqqq'],
            2,
            "error: there is no command 'synthesize qqqq'; mitouts synthesize --help lists all\n",
        ),
        (['qqqq'], 2, "error: there is no command 'qqqq'; mitouts --help lists all"),
    ],
)
def test_what_is_no_command(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    captured = capsys.readouterr()
    assert (captured.out + captured.err).startswith(said)


def test_python_m_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'mitouts', 'plot', '--help'], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip() == describe('plot')


@pytest.mark.parametrize(
    ('line', 'offered'),
    [
        ('mitouts tr', ['train ']),
        ('mitouts plot ', ['ablation', 'confusion', 'costs', 'curves', 'froc']),
        ('mitouts plot froc --pan', ['--panels ']),
        ('mitouts train --launcher s', ['slurm ']),
        ('mitouts train tissue/unet_ph', ['tissue/unet_phantom ']),
        ('mitouts train uts/uts_lite0 --data midog2', ['midog21', 'midog21-hn']),
        ('mitouts cascade propose tissue/unet_phantom --data tup', ['tupac16 ']),
        ('mitouts convert mi', ['midog', 'mitos14']),
        ('mitouts suite suites/pha', ['suites/phantom ']),
        ('mitouts protocol mai/s', ['mai/suh ']),
    ],
)
def test_the_shell_completes(line: str, offered: list[str], tmp_path: Path) -> None:
    out = tmp_path / 'offered'
    environment = {
        **dict(_ARGCOMPLETE='1', _ARGCOMPLETE_STDOUT_FILENAME=str(out), _ARGCOMPLETE_SUPPRESS_SPACE='0', IFS='\v'),
        **dict(COMP_LINE=line, COMP_POINT=str(len(line)), PYTHONPATH=':'.join(sys.path)),
    }
    subprocess.run([sys.executable, '-m', 'mitouts'], env=environment, check=True, capture_output=True)
    words = [word.replace('\\', '') for word in out.read_text().split('\v')]
    assert [word for word in words if not word.startswith('-h') and word != '--help'] == offered
