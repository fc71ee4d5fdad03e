from __future__ import annotations

import csv
import re

import pytest

from mitouts.experiments.rows import Estimate, MeanSd
from mitouts.experiments.tables import INTERVAL, Column, ResultTable, csv_text, latex, markdown, render

TABLE = ResultTable(
    (
        Column('Method'),
        Column('Runs', 'number'),
        Column('F1', 'mean_sd'),
        Column('A - B' + INTERVAL, 'estimate', signed=True, without_interval='not defined'),
        Column('Minutes', 'number', digits=1),
    ),
    (
        ('a|b_c & 50%', '3 of 4', MeanSd(0.71249, 0.0106), Estimate(0.0421, (-0.01, 0.0996)), 12.04),
        ('x', 4, MeanSd(0.5, None), Estimate(-0.25, None), None),
    ),
    'Noise 30%',
    ('4 runs.', 'p < 0.05 ± 1.'),
)


def test_markdown() -> None:
    assert markdown(TABLE).splitlines() == [
        '**Noise 30%**',
        '',
        '| Method | Runs | F1 | A - B [95%] | Minutes |',
        '| :-- | --: | --: | --: | --: |',
        '| a\\|b_c & 50% | 3 of 4 | 0.712 ± 0.011 | +0.042 [-0.010, +0.100] | 12.0 |',
        '| x | 4 | 0.500 | -0.250 [not defined] | n/a |',
        '',
        '<details markdown="1"><summary>How these numbers were made, and what is missing</summary>',
        '',
        '4 runs. p < 0.05 ± 1.',
        '',
        '</details>',
    ]


def test_csv_has_a_column_for_each_number() -> None:
    lines = csv_text(TABLE).splitlines()
    rows = list(csv.reader(line for line in lines if not line.startswith('#')))
    assert rows == [
        ['Method', 'Runs', 'F1 mean', 'F1 sd', 'A - B', 'A - B low', 'A - B high', 'Minutes'],
        ['a|b_c & 50%', '3 of 4', '0.712', '0.011', '+0.042', '-0.010', '+0.100', '12.0'],
        ['x', '4', '0.500', '', '-0.250', '', '', ''],
    ]
    assert [line for line in lines if line.startswith('#')] == ['# Noise 30%', '# 4 runs.', '# p < 0.05 ± 1.']


def test_latex_is_escaped_and_balanced() -> None:
    text = latex(TABLE)
    lines = text.splitlines()
    assert lines[:4] == [
        '% Noise 30%',
        r'\begin{tabular}{lrrrr}',
        r'\toprule',
        r'Method & Runs & F1 & A - B [95\%] & Minutes \\',
    ]
    assert r'a|b\_c \& 50\% & 3 of 4 & $0.712 \pm 0.011$ & $+0.042$ [$-0.010, +0.100$] & $12.0$ \\' in lines
    assert r'x & $4$ & $0.500$ & $-0.250$ [not defined] & n/a \\' in lines
    assert lines[-3:-1] == [r'\bottomrule', r'\end{tabular}']
    assert lines[-1] == r'\par\smallskip\noindent{\footnotesize 4 runs. p $<$ 0.05 $\pm$ 1.\par}'
    body = [line for line in lines if line.endswith(r'\\')]
    assert {len(re.findall(r'(?<!\\)&', line)) for line in body} == {4}
    assert text.count('{') == text.count('}')
    assert text.count('$') % 2 == 0


@pytest.mark.parametrize('character', list('\\&%$#_{}~^<>'))
def test_every_special_character_is_escaped_in_latex(character: str) -> None:
    cell = latex(ResultTable((Column('Method'),), ((f'a{character}b',),))).splitlines()[4]
    found = re.fullmatch(r'a(.*)b \\\\', cell)
    assert found
    assert found[1] in {
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '<': '$<$',
        '>': '$>$',
    }.get(character, '\\' + character)
    assert found[1] != character


def test_tables_stand_one_below_the_other() -> None:
    assert render([TABLE, TABLE], 'markdown') == markdown(TABLE) + '\n' + markdown(TABLE)
