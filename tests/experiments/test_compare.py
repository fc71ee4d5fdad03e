from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from suite_runs import Group, write_suite

from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.compare import Compared, Comparison, compare
from mitouts.experiments.methods import ScoreSettings, score_method
from mitouts.experiments.rows import parse_row, runs_of
from mitouts.experiments.suite_results import Suite, read_suite

SETTINGS = ScoreSettings(num_bootstrap=300, seed=2)


def run(suite: Suite, a: str, b: str, oracle: str | None = None) -> Compared:
    sides = [parse_row(text) for text in (a, b, oracle) if text]
    comparison = Comparison(sides[0], sides[1], 'A against B', sides[2] if oracle else None)
    return compare(CaseCounter(), comparison, tuple(runs_of(suite, side) for side in sides), SETTINGS)


def f1(counts: np.ndarray) -> float:
    tp, fp, fn = counts
    return 2 * tp / (2 * tp + fp + fn)


def by_run(suite: Suite, group: str, stage: str, protocol: str = 'one_to_one') -> dict:
    """``tp, fp, fn`` of each run, from ``results.json``."""
    runs = [run for run in suite.of_group(group) if run.is_done]
    blocks = {run.key: run.stages[stage].row[protocol] for run in runs}
    return {key: np.array([block[name] for name in ('tp', 'fp', 'fn')]) for key, block in blocks.items()}


def test_difference_of_the_common_runs_and_of_each_seed(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    found = run(suite, 'noise30/student', 'noise00/control')
    a, b = by_run(suite, 'noise30', 'student'), by_run(suite, 'noise00', 'control')
    assert found.common == ((0, 0), (0, 1), (1, 0))
    assert found.f1_a == pytest.approx(f1(sum(a.values())))
    assert found.f1_b == pytest.approx(f1(sum(b[key] for key in found.common)))
    assert found.difference.difference == pytest.approx(found.f1_a - found.f1_b)
    assert found.difference.num_cases == 8
    seed0 = f1(a[0, 0] + a[1, 0]) - f1(b[0, 0] + b[1, 0])
    seed1 = f1(a[0, 1]) - f1(b[0, 1])
    assert found.over_seeds == (pytest.approx((seed0 + seed1) / 2), pytest.approx(abs(seed0 - seed1) / np.sqrt(2)))
    assert found.recovered is None


def test_the_interval_resamples_cases_of_both_folds_together(suite_folder: Path) -> None:
    suite, counter = read_suite(suite_folder), CaseCounter()
    tables = []
    for stage in ('student', 'control'):
        folds = []
        for fold in (0, 1):
            runs = [each for each in suite.of_group('noise00') if each.fold == fold]
            counted = [counter.counts(each.stages[stage]) for each in runs]
            assert counted[0].cases.tolist() == counted[1].cases.tolist()
            folds.append(counted[0].counts + counted[1].counts)
        tables.append(np.concatenate(folds))
    generator = np.random.default_rng(SETTINGS.seed)
    differences = []
    for _ in range(SETTINGS.num_bootstrap):
        times = generator.multinomial(8, np.full(8, 1 / 8))
        differences.append(f1(times @ tables[0]) - f1(times @ tables[1]))
    found = run(suite, 'noise00/student', 'noise00/control').difference
    assert found.ci95 == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])))
    assert found.p_one_sided == pytest.approx(np.mean(np.array(differences) <= 0))


def test_recovered_share(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    found = run(suite, 'noise30/student', 'noise30/control', 'noise30/oracle')
    whole = [f1(sum(by_run(suite, 'noise30', stage).values())) for stage in ('student', 'control', 'oracle')]
    assert found.recovered.share == pytest.approx((whole[0] - whole[1]) / (whole[2] - whole[1]))


def test_without_a_common_run_there_is_nothing_to_compare(suite_folder: Path) -> None:
    found = run(read_suite(suite_folder), 'noise30/student', 'aggregators/model')
    assert (found.common, found.difference, found.f1_a) == ((), None, None)


def test_methods_that_were_tested_on_other_annotations_cannot_be_paired(tmp_path: Path) -> None:
    groups = [Group(name, staged=False, folds=(None,), seeds=(0,)) for name in ('a', 'b')]
    suite = write_suite(tmp_path, groups, failed=None, num_images=8, num_cases=2)
    path = tmp_path / 'data' / 'b' / 'test.json'
    document = json.loads(path.read_text())
    document['annotations'][0]['iscrowd'] = 1
    path.write_text(json.dumps(document))
    results = suite / 'b' / 'seed0' / 'results.json'
    content = json.loads(results.read_text())
    del content['stages'][0]['one_to_one']
    results.write_text(json.dumps(content))
    with pytest.raises(MitoutsError, match=r'a/model and b/model were tested on different cases .*fold None, seed 0'):
        run(read_suite(suite), 'a/model', 'b/model')


def test_scores_of_a_method(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    runs = runs_of(suite, parse_row('noise00/student'))
    found = score_method(CaseCounter(), runs, SETTINGS)
    rows = [run.stages['student'].row for run in runs.done]
    for name, values in {
        'image_auc': [row['image']['auc'] for row in rows],
        'image_f1': [row['image']['f1'] for row in rows],
        'froc': [row['froc']['average_sensitivity'] for row in rows],
    }.items():
        assert getattr(found, name) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert found.minutes == pytest.approx(np.mean([row['minutes'] for row in rows]))
    for name, protocol in (('f1', 'one_to_one'), ('f1_second', 'one_to_one@15px')):
        counts = by_run(suite, 'noise00', 'student', protocol)
        seeds = [f1(counts[0, seed] + counts[1, seed]) for seed in (0, 1)]
        assert getattr(found, name) == (pytest.approx(np.mean(seeds)), pytest.approx(np.std(seeds, ddof=1)))
    counts = by_run(suite, 'noise00', 'student')
    tp, fp, fn = np.array([counts[0, seed] + counts[1, seed] for seed in (0, 1)]).T
    assert found.precision.mean == pytest.approx(np.mean(tp / (tp + fp)))
    assert found.recall.mean == pytest.approx(np.mean(tp / (tp + fn)))
    assert found.f1_pooled.value == pytest.approx(f1(sum(counts.values())))
    low, high = found.f1_pooled.ci95
    assert low < found.f1_pooled.value < high
    assert found.f1_best.mean >= found.f1.mean
    assert found.num_cases == 8


def test_costs_of_several_stages_are_summed(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    row = parse_row('noise00/student')
    runs = runs_of(suite, type(row)(row.group, row.stage, row.label, ('teacher', 'distill', 'student')))
    found = score_method(CaseCounter(), runs, SETTINGS)
    spent = [sum(run.stages[name].row['minutes'] for name in ('teacher', 'student')) + 0.1 for run in runs.done]
    assert found.minutes == pytest.approx(np.mean(spent))
