"""The partitions that converters come with."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import pytest

from mitouts.converters import Midog
from mitouts.converters.base import default_partition, find_converter, partitions_of
from mitouts.errors import ConfigError
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'


def _cases(dataset: str, name: str, split: str, all_cases: list[str]) -> list[str]:
    return [case for case in all_cases if partitions_of(dataset)[name].split_of(case) == split]


def test_tupac16_of_the_paper() -> None:
    cases = [f'{number:02d}' for number in range(1, 74)]
    assert _cases('tupac16', 'paper', 'val', cases) == ['30', '37', '44', '51', '58', '65', '72']
    assert _cases('tupac16', 'paper', 'test', cases) == ['31', '38', '45', '52', '59', '66', '73']
    assert len(_cases('tupac16', 'paper', 'train', cases)) == 59


def test_mitos14_of_the_paper() -> None:
    assert [partitions_of('mitos14')['paper'].split_of(case) for case in ('03', '04', '05')] == ['val', 'test', 'train']


def test_folds_of_mitos14_test_each_case_but_04_once() -> None:
    partitions = partitions_of('mitos14')
    cases = ['03', '04', '05', '07', '10', '11', '12', '14', '15', '17', '18']
    folds = [partitions[f'fold:{number}'] for number in range(5)]
    assert sorted(case for fold in folds for case in fold.test) == [case for case in cases if case != '04']
    assert all(fold.split_of('04') == 'ignore' for fold in folds)
    assert _cases('mitos14', 'final', 'test', cases) == ['04']
    assert partitions['official'] is partitions['paper']
    assert not partitions['official'].within_cases


def test_midog21_of_the_paper() -> None:
    cases = [f'{number:03d}' for number in range(1, 151)]
    wanted = [f'{start + number:03d}' for start in (0, 50, 100) for number in range(41, 46)]
    assert _cases('midog21', 'paper', 'val', cases) == wanted
    assert _cases('midog21', 'paper', 'test', cases) == [f'{int(case) + 5:03d}' for case in wanted]


def test_midogpp_is_the_published_table_and_every_seventh() -> None:
    path = REAL / 'datasets_xvalidation.csv'
    if not path.is_file():
        pytest.skip('the public label files are not at ../shared/data/annotations')
    with path.open(newline='') as file:
        rows = {f'{int(row["Slide"]):03d}': row['Dataset'] for row in csv.DictReader(file, delimiter=';')}
    assert len(rows) == 503
    partition = partitions_of('midogpp')['published']
    assert partition.test == {case for case, split in rows.items() if split == 'test'}
    assert partition.val == {case for case, split in rows.items() if split == 'train' and int(case) % 7 == 0}


def test_ccmct() -> None:
    paper, published = partitions_of('ccmct')['paper'], partitions_of('ccmct')['published']
    assert paper.split_of('be10fa37ad6e88e1f406') == paper.split_of('any') == 'test'
    assert len(published.test) == 11
    assert (published.split_of('be10fa37ad6e88e1f406'), published.split_of('any')) == ('test', 'train')


def test_amibr_splits_the_slides_of_both_sources() -> None:
    partition = partitions_of('amibr')['paper']
    cases = {'041': 'val', '046': 'test', '001': 'train', '30': 'val', '31': 'test', '01': 'train', '41': 'train'}
    assert {case: partition.split_of(case) for case in cases} == cases


def test_default_is_the_first_partition() -> None:
    assert [default_partition(name) for name in ('ccmct', 'midogpp', 'other')] == ['paper', 'published', 'none']


class _Lab(Midog):
    delimiter: Annotated[str, Argument('what separates two values')] = ','


def test_options_of_a_converter_that_is_no_dataclass_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    CONVERTERS.import_from_location()
    monkeypatch.setitem(CONVERTERS.module_dict, 'lab', _Lab)
    with pytest.raises(ConfigError, match=r"'lab' annotates delimiter with .*\._Lab is no dataclass: write @dataclass"):
        find_converter('lab')
