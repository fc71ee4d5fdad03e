"""What `mitouts convert` says of itself; tests/converters/test_contract.py runs it on each data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_files import write_midog

from mitouts.commands.convert import main
from mitouts.converters.base import known_converters
from mitouts.registry import UnknownComponentError


def test_the_help_lists_every_converter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    listed = [line.split()[0] for line in capsys.readouterr().out.partition('\nconverters:\n')[2].splitlines()]
    assert ended.value.code == 0
    assert set(known_converters()) <= set(listed)


def test_an_unknown_name_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownComponentError, match=r"'midgo' is not in .* Did you mean 'midog'"):
        main(['midgo', 'x', '--out', str(tmp_path / 'a.json')])


def test_a_package_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['midog', 'x', '--out', 'a.json', '--import', 'no_such_package'])
    assert ended.value.code == 2
    assert "'no_such_package' cannot be imported" in capsys.readouterr().err


def test_options_of_another_converter_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['midog', str(write_midog(tmp_path)), '--out', str(tmp_path / 'a.json'), '--origin', '1'])
    assert ended.value.code == 2
    assert 'unrecognized arguments: --origin 1' in capsys.readouterr().err


def test_partitions_of_all_data_sets_that_a_file_can_be_of_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for name, said in (
        ('midog', 'paper, published, none, or a CSV'),
        ('sliderunner', 'paper, published, none, or a CSV'),
        ('qupath_geojson', 'none, or a CSV'),
    ):
        with pytest.raises(SystemExit):
            main([name, '--help'])
        assert said in ' '.join(capsys.readouterr().out.split())


def test_without_arguments_the_converters_are_listed(call) -> None:
    code, out, _ = call('convert')
    assert code == 2
    assert 'converters:\n  amibr ' in out
