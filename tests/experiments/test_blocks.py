from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from suite_runs import ENVIRONMENT, Group, write_suite

from mitouts.experiments.blocks import comparison_table, distillation_table, literature_table, methods_table
from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.compare import Comparison
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.provenance import describe_environments, machine_of, versions_of
from mitouts.experiments.rows import parse_row
from mitouts.experiments.suite_results import Suite, read_suite
from mitouts.experiments.tables import ResultTable, cell_text, markdown

SETTINGS = ScoreSettings(num_bootstrap=200)


def methods(suite: Suite, *rows: str, **more) -> ResultTable:
    return methods_table(suite, CaseCounter(), [parse_row(row) for row in rows], SETTINGS, **more)


def cells(table: ResultTable, row: int = 0) -> dict[str, str]:
    columns = zip(table.columns, table.rows[row])
    return {column.name: cell_text(column, cell) for column, cell in columns}


def test_a_methods_line_holds_the_runs_own_numbers(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    table = methods(suite, 'aggregators/model=Max', title='Aggregators')
    rows = [run.stages['model'].row for run in suite.of_group('aggregators')]
    # Without folds and with one seed a run, a seed's F1 is the run's.
    f1 = [row['one_to_one']['f1'] for row in rows]
    near = [row['one_to_one@15px']['f1'] for row in rows]
    auc = [row['image']['auc'] for row in rows]
    found = cells(table)
    assert found['Method'] == 'Max'
    assert found['Runs'] == '3'
    assert found['F1'] == f'{np.mean(f1):.3f} ± {np.std(f1, ddof=1):.3f}'
    assert found['F1 at 15 px'] == f'{np.mean(near):.3f} ± {np.std(near, ddof=1):.3f}'
    assert found['Image AUC'] == f'{np.mean(auc):.3f} ± {np.std(auc, ddof=1):.3f}'
    assert found['Minutes'] == f'{np.mean([row["minutes"] for row in rows]):.1f}'
    assert '**Aggregators**' in markdown(table)
    notes = ' '.join(table.notes)
    assert 'within 30 px, one-to-one' in notes
    assert '3 runs (3 seeds, no folds). 4 test cases.' in notes
    assert 'Machine: CPU, 2 threads. Versions: mitouts 0.1.0 (abc1234), torch 2.13.0+cpu.' in notes


def test_what_is_missing_is_said(suite_folder: Path) -> None:
    table = methods(read_suite(suite_folder), 'noise30/student', 'noise30/control')
    assert cells(table)['Runs'] == '3 of 4'
    notes = ' '.join(table.notes)
    assert '3 runs (2 seeds, 2 folds). Not finished and not in the table: noise30/fold1_seed1 (failed).' in notes
    assert 'noise30: seed 1 lacks a fold. 8 test cases.' in notes


def test_a_run_without_the_stage_is_named(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, (Group('g', folds=(None,), seeds=(0, 1)),), failed=None, num_images=8, num_cases=2)
    path = suite / 'g' / 'seed1' / 'results.json'
    results = json.loads(path.read_text())
    results['stages'] = [row for row in results['stages'] if row['stage'] != 'oracle']
    path.write_text(json.dumps(results))
    table = methods(read_suite(suite), 'g/oracle')
    assert cells(table)['Runs'] == '1 of 2'
    assert 'Without oracle: g/seed1.' in table.notes


def test_a_line_without_runs_has_no_numbers(suite_folder: Path) -> None:
    table = methods(read_suite(suite_folder), 'later/student', partial=True)
    found = cells(table)
    assert found.pop('Method') == 'later/student'
    assert found.pop('Runs') == '0'
    assert set(found.values()) == {'n/a'}


def test_mixed_machines_and_configs_are_said(tmp_path: Path) -> None:
    group = (Group('g', staged=False, folds=(None,), seeds=(0,)),)
    cpu = write_suite(tmp_path / 'cpu', group, failed=None, num_images=8, num_cases=2)
    gpu = write_suite(
        tmp_path / 'gpu',
        (Group('g', staged=False, folds=(None,), seeds=(1,)),),
        failed=None,
        num_images=8,
        num_cases=2,
        environment=ENVIRONMENT | {'gpu': 'NVIDIA H200'},
    )
    path = gpu / 'g' / 'seed1' / 'run.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'data': 'midog21'}))
    notes = ' '.join(methods(read_suite(cpu, gpu), 'g/model').notes)
    assert 'Machine, mixed: CPU, 2 threads (1 stage); NVIDIA H200 (1 stage).' in notes
    assert 'Versions: mitouts 0.1.0' in notes
    assert 'g mixes configs: configs/uts/g.py, configs/uts/g.py --data midog21.' in notes


def test_environments_in_words() -> None:
    assert (machine_of({}), versions_of({})) == ('not recorded', 'not recorded')
    assert describe_environments([]) == ''
    older = ENVIRONMENT | {'git': 'fff0000'}
    assert describe_environments([ENVIRONMENT, older, older]) == (
        'Machine: CPU, 2 threads. Versions, mixed: mitouts 0.1.0 (fff0000), torch 2.13.0+cpu (2 stages); '
        'mitouts 0.1.0 (abc1234), torch 2.13.0+cpu (1 stage).'
    )


def compare(suite: Suite, a: str, b: str, oracle: str | None = None) -> ResultTable:
    comparison = Comparison(parse_row(a), parse_row(b), 'A against B', parse_row(oracle) if oracle else None)
    return comparison_table(suite, CaseCounter(), [comparison], SETTINGS)


def test_a_comparison_with_an_oracle(suite_folder: Path) -> None:
    table = compare(read_suite(suite_folder), 'noise30/student', 'noise30/control', 'noise30/oracle=Oracle')
    found = cells(table)
    difference = float(found['F1 of A']) - float(found['F1 of B'])
    assert float(found['A - B [95%]'].split()[0]) == pytest.approx(difference, abs=0.0011)
    assert found['Paired runs'] == '3'
    assert found['Cases'] == '8'
    assert 'Recovered [95%]' in found
    assert any(note.startswith('Oracle - noise30/control: +') for note in table.notes)


def test_two_comparisons_with_one_oracle_name_its_distance_once(suite_folder: Path) -> None:
    rows = [parse_row(source) for source in ('noise30/student', 'noise30/teacher', 'noise30/control')]
    oracle = parse_row('noise30/oracle=Oracle')
    comparisons = [Comparison(row, rows[2], row.label, oracle) for row in rows[:2]]
    notes = comparison_table(read_suite(suite_folder), CaseCounter(), comparisons, SETTINGS).notes
    assert len([note for note in notes if note.startswith('Oracle - noise30/control: +')]) == 1


def test_where_the_oracle_is_no_better_the_recovered_share_is_not_defined(suite_folder: Path) -> None:
    table = compare(read_suite(suite_folder), 'noise00/student', 'noise00/control', 'noise00/random')
    distance = next(note for note in table.notes if note.startswith('noise00/random - noise00/control'))
    low, high = (float(end) for end in distance.rstrip('].').split('[')[1].split(','))
    assert low < 0 < high
    assert cells(table)['Recovered [95%]'].endswith('[not defined]')


def test_no_resample_in_favour_is_a_bound(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    assert cells(compare(suite, 'noise00/student', 'noise00/student'))['p, one-sided'] == '1.0000'
    best = cells(compare(suite, 'noise30/oracle', 'noise30/random'))
    assert best['p, one-sided'] == '< 0.0050'


def test_runs_without_a_counterpart_are_named(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    notes = compare(suite, 'noise30/student', 'noise00/student').notes
    assert 'A against B: without a counterpart and left out: noise00/fold1_seed1.' in notes
    notes = compare(suite, 'noise00/student', 'aggregators/model').notes
    assert (
        'A against B: without a counterpart and left out: 4 runs of noise00, aggregators/seed0, aggregators/seed1, '
        'aggregators/seed2.'
    ) in notes


def test_distillations(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    rows = [parse_row(f'{group}/distill') for group in ('noise30', 'noise00')]
    table = distillation_table(suite, [*rows, parse_row('noise30/oracle_drop=Oracle')])
    known, unknown, oracle = (cells(table, row) for row in range(3))
    summaries = [run.distillations['distill'] for run in suite.of_group('noise30') if run.is_done]
    shares = [each['noise_dropped'] / each['noise_total'] for each in summaries]
    assert known['Noise dropped'] == f'{np.mean(shares):.3f} ± {np.std(shares, ddof=1):.3f}'
    assert unknown['Noise dropped'] == 'n/a'
    assert (oracle['Noise dropped'], oracle['Clean kept']) == ('1.000 ± 0.000', '1.000 ± 0.000')
    assert oracle['AUC, distance'] == 'n/a'
    assert 'Weight of noise' not in known
    assert 'noise00/distill: no image is known to be mislabelled.' in table.notes


def test_published_numbers_show_as_they_are_given() -> None:
    table = literature_table(['Method', 'F1'], [['SegMitos', 0.669], ['CasNN', None]], 'facts')
    assert [cells(table, row) for row in (0, 1)] == [
        {'Method': 'SegMitos', 'F1': '0.669'},
        {'Method': 'CasNN', 'F1': 'n/a'},
    ]
    assert table.notes == ('Published, not measured here: facts.',)
