from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from scipy import stats

from mitouts.commands import correlate
from mitouts.utils.cli import run as run_command

TABLE = """slide,reference,mai,scanner
a,1,0.5,S60
b,4,1.5,AT2
c,,2.0,S60
d,9,2.5,S60
e,16,n/a,AT2
f,25,4.5,AT2

g,3,1.0,S60
"""
X, Y = [1, 4, 9, 25, 3], [0.5, 1.5, 2.5, 4.5, 1.0]


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    def run(content: str | bytes, *arguments: object, x: str = 'reference', y: str = 'mai') -> tuple[int, str, str]:
        table = tmp_path / 'cohört table.csv'
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, 'argv', ['correlate.py', str(table), '--x', x, '--y', y, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_command(correlate.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


def test_the_keys_and_numbers(call, tmp_path):
    code, out, err = call(TABLE, '--out', tmp_path / 'deep' / 'out.json', '--plot', tmp_path / 'plot.png')
    assert code == 0
    result = json.loads(out)
    assert json.loads((tmp_path / 'deep' / 'out.json').read_text()) == result
    assert (result['n'], result['n_missing'], result['x'], result['y']) == (5, 2, 'reference', 'mai')
    assert result['pearson']['r'] == pytest.approx(stats.pearsonr(X, Y).statistic)
    assert result['spearman']['rho'] == pytest.approx(stats.spearmanr(X, Y).statistic)
    for name in ('pearson', 'spearman'):
        for interval in ('ci95_fisher', 'ci95_bootstrap'):
            low, high = result[name][interval]
            assert low <= high
    assert result['bland_altman']['bias'] == pytest.approx(np.mean(np.subtract(Y, X)))
    assert len(result['bland_altman']['limits']) == 2
    assert result['line']['slope'] == pytest.approx(stats.linregress(X, Y).slope)
    assert 'left out: 2 slides without one of the values' in err
    assert (tmp_path / 'plot.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    'content',
    [
        TABLE.replace(',', ';'),
        TABLE.replace(',', '\t'),
        '\ufeff' + TABLE,
        TABLE.replace('\n', '\r\n'),
        TABLE.replace('slide,', '"slide, or\na case",').replace('a,1,', '"a, first",1,'),
    ],
    ids=['semicolons', 'tabs', 'byte order mark', 'Windows lines', 'quotes'],
)
def test_other_tables_are_the_same(call, content):
    assert json.loads(call(content)[1])['pearson'] == json.loads(call(TABLE)[1])['pearson']


def test_groups(call):
    code, out, err = call(TABLE, '--by', 'scanner')
    assert code == 0
    groups = json.loads(out)['groups']
    assert {name: group['n'] for name, group in groups.items()} == {'AT2': 2, 'S60': 3}
    assert groups['AT2']['pearson']['r'] is None
    assert groups['S60']['spearman'] == {'rho': 1.0, 'ci95_fisher': None, 'ci95_bootstrap': None}
    assert 'AT2' in err
    assert 'not available' in err


def test_the_same_seed_gives_the_same_bytes(call):
    assert call(TABLE, '--seed', 3) == call(TABLE, '--seed', 3)


def test_a_table_without_slides_is_not_an_error(call, tmp_path):
    code, out, _ = call('reference,mai\n', '--plot', tmp_path / 'empty.png')
    assert (code, json.loads(out)['n'], json.loads(out)['bland_altman']) == (0, 0, None)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('reference,mai\n1,2\n3,high\n', "line 3, column 'mai': expected a number, found 'high'"),
        ('reference;mai\n1;2,5\n', 'write decimals with a point'),
        ('reference,mai\n1,inf\n', "line 2, column 'mai': expected a number, found 'inf'"),
        ('reference,mai\n1,-1e101\n', "found '-1e101'"),
        ('reference,mai\n1_000,1\n', "found '1_000'"),
        ('reference,mai\n1,2,3\n', 'line 2 has 3 cells, the header 2'),
        ('reference,count\n1,2\n', "no column 'mai'; separated by commas, its header has reference, count"),
        ('reference,mai,mai\n1,2,3\n', "2 columns 'mai'"),
        ('', 'has no header'),
        ('reference,mai\n1,"2\n', 'is no CSV'),
        (b'reference,mai\n1,\xff\n', 'is not UTF-8'),
    ],
)
def test_bad_tables_end_with_one_line(call, content, words):
    code, out, err = call(content)
    assert code == 2
    assert not out
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    assert words in err


def test_no_file_and_no_picture(call, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['correlate.py', str(tmp_path / 'none.csv'), '--x', 'a', '--y', 'b'])
    with pytest.raises(SystemExit) as ended:
        run_command(correlate.main)
    assert ended.value.code == 2
    assert 'none.csv' in capsys.readouterr().err
    code, _, err = call(TABLE, '--plot', 'plot.pdf')
    assert code == 2
    assert '--plot writes PNG' in err
