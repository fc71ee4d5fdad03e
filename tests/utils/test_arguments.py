from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from mitouts.utils.arguments import Argument, Gather, add_cfg_options, add_imports, add_parameters, from_args


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument('inputs', nargs='*')
    made.add_argument('--areas', nargs='+', type=float, action=Gather, default=[1.59, 2.0])
    made.add_argument('--cases', nargs='*', action=Gather)
    return made


def test_an_option_given_twice_keeps_both() -> None:
    args = parser().parse_args(['--areas', '1', '2', '--cases', 'a', '--areas', '3', '--cases', 'b', 'c'])
    assert args.areas == [1.0, 2.0, 3.0]
    assert args.cases == ['a', 'b', 'c']


def test_what_is_given_replaces_the_default_and_leaves_it_as_it_is() -> None:
    made = parser()
    assert made.parse_args(['--areas', '3']).areas == [3.0]
    assert made.parse_args(['x']).areas == [1.59, 2.0]
    assert made.parse_args([]).cases is None


def test_options_between_positionals_are_gathered_too() -> None:
    args = parser().parse_intermixed_args(['x', '--cases', 'a', '--cases', 'b', '--areas=4', 'y'])
    assert (args.inputs, args.cases, args.areas) == (['x', 'y'], ['a', 'b'], [4.0])


def test_overrides_are_gathered() -> None:
    made = argparse.ArgumentParser()
    add_cfg_options(made)
    args = made.parse_args(['--cfg-options', 'a=1', 'b=2', '--cfg-options', 'c=3'])
    assert args.cfg_options == ['a=1', 'b=2', 'c=3']


def test_packages_are_imported_as_they_are_named(tmp_path: Path, monkeypatch) -> None:
    for name in ('door_first', 'door_second'):
        (tmp_path / f'{name}.py').write_text('VALUE = 1')
    monkeypatch.syspath_prepend(str(tmp_path))
    made = argparse.ArgumentParser()
    add_imports(made)
    assert made.parse_args(['--import', 'door_first', '--import', 'door_second']).imports == [
        'door_first',
        'door_second',
    ]
    assert {'door_first', 'door_second'} <= sys.modules.keys()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        (
            'door_missing',
            None,
            "ModuleNotFoundError: No module named 'door_missing'); expected a package that Python finds",
        ),
        ('door_broken', 'x = (', 'SyntaxError'),
        ('door_fails', 'raise RuntimeError("no licence")', 'RuntimeError: no licence'),
        ('.', None, 'it is a path'),
    ],
)
def test_a_package_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch, capsys, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / f'{name}.py').write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = argparse.ArgumentParser()
    add_imports(made)
    with pytest.raises(SystemExit) as ended:
        made.parse_args(['--import', name])
    assert ended.value.code == 2
    assert f"argument --import: '{name}' cannot be imported" in (err := capsys.readouterr().err)
    assert message in err


@dataclass
class Options:
    plain: int
    name: Annotated[str | None, Argument('a name', 'NAME')] = None
    keep_empty: Annotated[bool, Argument('keep them')] = False
    draw: Annotated[bool, Argument('draw them')] = True
    origin: Annotated[Literal[0, 1] | None, Argument('the first number')] = None
    table: Annotated[Path, Argument('a table')] = Path('a.csv')


def some_function(*, share: Annotated[float, Argument('a share')], unit: str = 'px') -> None:
    """One of its parameters is an option."""


def test_annotated_parameters_become_options() -> None:
    made = argparse.ArgumentParser()
    assert add_parameters(made, Options) == ['name', 'keep_empty', 'draw', 'origin', 'table']
    assert vars(made.parse_args([])) == {
        'name': None,
        'keep_empty': False,
        'draw': True,
        'origin': None,
        'table': Path('a.csv'),
    }
    given = made.parse_args(['--name', 'a', '--keep-empty', '--no-draw', '--origin', '1', '--table', 'b.csv'])
    assert vars(given) == {'name': 'a', 'keep_empty': True, 'draw': False, 'origin': 1, 'table': Path('b.csv')}
    assert '--name NAME' in made.format_help()


def test_a_parameter_without_a_default_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    made = argparse.ArgumentParser()
    assert add_parameters(made, some_function) == ['share']
    assert made.parse_args(['--share', '0.5']).share == 0.5
    with pytest.raises(SystemExit):
        made.parse_args([])
    assert '--share' in capsys.readouterr().err


@pytest.mark.parametrize('words', [['--origin', '2'], ['--origin', 'x']])
def test_a_value_that_is_no_choice_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    made = argparse.ArgumentParser()
    add_parameters(made, Options)
    with pytest.raises(SystemExit):
        made.parse_args(words)
    assert '--origin' in capsys.readouterr().err


def test_a_dataclass_takes_the_arguments_that_are_called_as_its_fields() -> None:
    @dataclass
    class Settings:
        areas: list[float]
        cases: list[str]
        seed: int = 7

    args = parser().parse_args(['x', '--areas', '1', '--cases', 'a'])
    assert from_args(Settings, args, cases=['b']) == Settings([1.0], ['b'], 7)
