"""Rows of a figure: how they are named, and what is counted for each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from suite_runs import Group, write_suite

from mitouts.errors import MitoutsError
from mitouts.experiments.figure_rows import IMAGE_F1, LOCALIZATION_F1, RowReader, default_rows, open_suite, read_rows
from mitouts.experiments.methods import ScoreSettings, score_method
from mitouts.experiments.rows import TableRow, runs_of
from mitouts.experiments.suite_results import read_suite


def _described(suite_folder: Path, specs: list[str], x_name: str | None = None):
    rows = read_rows(read_suite(suite_folder), specs, x_name)
    return [(row.source, row.label, row.costs, x) for row, x in rows]


def test_rows_are_named_with_labels_costs_and_places(suite_folder: Path):
    assert _described(suite_folder, ['noise30/teacher+distill+student=UTS', 'noise00/control']) == [
        ('noise30/student', 'UTS', ('teacher', 'distill', 'student'), None),
        ('noise00/control', 'noise00/control', (), None),
    ]
    assert _described(suite_folder, ['noise*/student=S=1', 'noise30/control@0.5'], 'noise') == [
        ('noise00/student', 'S=1', (), 0.0),
        ('noise30/student', 'S=1', (), 0.3),
        ('noise30/control', 'control', (), 0.5),
    ]
    assert [row[1] for row in _described(suite_folder, ['noise*/student=Student'])] == [
        'Student (noise00)',
        'Student (noise30)',
    ]


@pytest.mark.parametrize(
    ('spec', 'x_name', 'message'),
    [
        ('student', None, 'names no group; expected .* with one of aggregators, noise00, noise30'),
        ('depth*/student', None, "no group 'depth\\*'; the suite has aggregators, noise00, noise30"),
        ('noise30/pupil', None, "no stage 'pupil' in group 'noise30'; its runs have teacher"),
        ('noise30/a+', None, 'expected \\[GROUP/\\]'),
        ('noise30/', None, 'expected \\[GROUP/\\]'),
        ('noise30/student@high', 'noise', "expected a number after @, found 'high'"),
        (
            'aggregators/model',
            'noise',
            "group 'aggregators' is not noise and a number, so give it as agg",
        ),
    ],
)
def test_a_row_that_makes_no_sense_is_explained(suite_folder: Path, spec: str, x_name: str | None, message: str):
    with pytest.raises(MitoutsError, match=message):
        _described(suite_folder, [spec], x_name)


def test_scores_agree_with_the_tables_and_with_the_runs(suite_folder: Path):
    suite = read_suite(suite_folder)
    settings = ScoreSettings(num_bootstrap=200)
    reader = RowReader(suite, settings)
    row = TableRow('noise00', 'student', 'Student')
    setting = reader.setting(row)
    score, image = setting.scores[LOCALIZATION_F1], setting.scores[IMAGE_F1]
    assert score is not None
    assert image is not None
    table = score_method(reader.counter, runs_of(suite, row), settings)
    assert table.f1_pooled is not None
    assert (score.value, score.ci95) == (table.f1_pooled.value, table.f1_pooled.ci95)
    # Image counts against those that the runs wrote themselves.
    blocks = {run.key: run.stages['student'].row['image'] for run in suite.done_with('noise00', 'student')}
    assert image.value == pytest.approx(_f1(list(blocks.values())))
    by_seed = [_f1([block for (_, own), block in blocks.items() if own == seed]) for seed in (0, 1)]
    assert image.seeds == pytest.approx(by_seed)
    assert image.ci95 is not None
    assert image.ci95[0] < image.value < image.ci95[1]


def _f1(blocks: list[dict[str, int]]) -> float:
    tp, fp, fn = (sum(block[key] for block in blocks) for key in ('tp', 'fp', 'fn'))
    return 2 * tp / (2 * tp + fp + fn)


def test_minutes_are_those_of_all_stages_of_a_row(suite_folder: Path):
    suite = read_suite(suite_folder)
    row = TableRow('noise00', 'student', 'UTS', ('teacher', 'distill', 'student'))
    runs = suite.done_with('noise00', 'student')
    spent = {run.key: run.stages['teacher'].row['minutes'] + 0.1 + run.stages['student'].row['minutes'] for run in runs}
    expected = [np.mean([minutes for (_, own), minutes in spent.items() if own == seed]) for seed in (0, 1)]
    assert RowReader(suite).setting(row).minutes == pytest.approx(expected)
    assert RowReader(suite).setting(TableRow('noise00', 'student', 'x', ('missing', 'student'))).minutes == []


def test_counts_are_sums_over_folds_of_means_over_seeds(suite_folder: Path):
    suite = read_suite(suite_folder)
    # Fold 1 of noise30 has one seed only: it must not weigh half.
    blocks = {run.key: run.stages['student'].row['one_to_one'] for run in suite.done_with('noise30', 'student')}
    assert set(blocks) == {(0, 0), (0, 1), (1, 0)}
    expected = [(blocks[0, 0][key] + blocks[0, 1][key]) / 2 + blocks[1, 0][key] for key in ('tp', 'fp', 'fn')]
    assert RowReader(suite).counts(TableRow('noise30', 'student', 'S')) == pytest.approx(expected)


def test_detections_hold_areas_only_where_every_mpp_is_known(tmp_path: Path):
    folder = write_suite(tmp_path, [Group('depth3', staged=False, folds=(None,))], num_images=4)
    row = TableRow('depth3', 'model', 'M')
    known = RowReader(read_suite(folder)).detections(row)
    assert len(known) == 2
    assert known[0].areas_mm2 == pytest.approx([(128 * 0.25e-3) ** 2] * 4)
    path = tmp_path / 'data' / 'depth3' / 'test.json'
    document = json.loads(path.read_text())
    document['images'][3]['mpp'] = None
    path.write_text(json.dumps(document))
    assert RowReader(read_suite(folder)).detections(row)[0].areas_mm2 is None


def test_the_work_dir_of_one_experiment_is_a_suite_of_one_run(suite_folder: Path):
    folder = suite_folder / 'noise00' / 'fold0_seed1'
    suite = open_suite([folder])
    assert suite.groups == ['fold0_seed1']
    assert suite.runs[0].seed == 1
    assert [row.label for row, _ in default_rows(suite)] == ['teacher', 'student', 'control', 'random', 'oracle']
    (student, _), *_ = read_rows(suite, ['student=Student'])
    block = suite.runs[0].stages['student'].row['one_to_one']
    assert RowReader(suite).counts(student) == (block['tp'], block['fp'], block['fn'])


def test_annotations_can_be_named_where_an_old_run_does_not(tmp_path: Path, suite_folder: Path):
    folder = tmp_path / 'old'
    shutil.copytree(suite_folder / 'noise00' / 'fold0_seed0', folder)
    results = json.loads((folder / 'results.json').read_text())
    ann_file = results['stages'][0]['test_ann_file']
    for stage in results['stages']:
        del stage['test_ann_file']
    (folder / 'results.json').write_text(json.dumps(results))
    row = TableRow('old', 'teacher', 'T')
    with pytest.raises(MitoutsError, match=r'stage teacher has no .test_ann_file'):
        RowReader(open_suite([folder])).counts(row)
    assert RowReader(open_suite([folder], ann_file)).counts(row) is not None
