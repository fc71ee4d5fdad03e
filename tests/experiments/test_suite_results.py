from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from suite_runs import Group, write_suite

from mitouts.errors import AnnotationError, MitoutsError
from mitouts.experiments.suite_results import describe_unfinished, read_suite

ONE = (Group('g', staged=False, folds=(0,), seeds=(0, 1)),)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_suite(tmp_path, ONE, failed=None, num_images=4, num_cases=2)


def test_every_run_is_read_with_its_group_fold_and_seed(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    assert suite.groups == ['aggregators', 'noise00', 'noise30']
    assert [run.key for run in suite.of_group('noise00')] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [run.key for run in suite.of_group('aggregators')] == [(None, 0), (None, 1), (None, 2)]
    run = suite.of_group('noise00')[2]
    assert list(run.stages) == ['teacher', 'student', 'control', 'random', 'oracle']
    assert run.stages['student'].row['test_images'] == 24
    assert run.stages['student'].environment['threads'] == '2'
    assert set(run.distillations) == {'distill', 'random_drop', 'oracle_drop'}
    assert run.stage('distill').minutes == pytest.approx(0.1)


def test_a_failed_run_stays_in_the_list_with_its_reason(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    (failed,) = suite.unfinished
    assert (failed.group, failed.key, failed.status, failed.stages) == ('noise30', (1, 1), 'failed', {})
    assert describe_unfinished([failed]) == 'noise30/fold1_seed1 (failed: TrainingError: the loss is nan in epoch 2)'
    assert [run.key for run in suite.done_with('noise30', 'student')] == [(0, 0), (0, 1), (1, 0)]


def test_runs_without_run_json_or_results_are_unfinished(small: Path) -> None:
    (small / 'g' / 'fold0_seed0' / 'run.json').unlink()
    (small / 'g' / 'fold0_seed1' / 'results.json').unlink()
    (small / 'g' / 'logs').mkdir()
    runs = read_suite(small).unfinished
    assert [(run.key, run.status, run.error) for run in runs] == [
        ((0, 0), 'missing', 'no run.json'),
        ((0, 1), 'incomplete', 'no results.json'),
    ]


@pytest.mark.parametrize('status', ['failed', 'running'])
def test_what_an_earlier_part_has_finished_stays_usable(small: Path, status: str) -> None:
    for name, finished in (('fold0_seed0', {'0': 1.5}), ('fold0_seed1', {})):
        path = small / 'g' / name / 'run.json'
        path.write_text(json.dumps(json.loads(path.read_text()) | {'status': status, 'finished': finished}))
    suite = read_suite(small)
    assert [run.key for run in suite.unfinished] == [(0, 0), (0, 1)]
    assert [run.key for run in suite.done_with('g', 'model')] == [(0, 0)]


def test_runs_of_a_group_may_lie_in_two_suites(small: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other'
    shutil.copytree(small / 'g' / 'fold0_seed1', other / 'g' / 'fold0_seed1')
    shutil.rmtree(small / 'g' / 'fold0_seed1')
    assert [run.key for run in read_suite(small, other).runs] == [(0, 0), (0, 1)]


def test_a_run_that_stands_twice_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / 'copy')
    with pytest.raises(MitoutsError, match=r'are the same run \(group g, fold 0, seed 0\)'):
        read_suite(small, tmp_path / 'copy')


def test_unknown_groups_and_stages_are_named(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    with pytest.raises(MitoutsError, match="no group 'noise'; the suite has aggregators, noise00, noise30"):
        suite.of_group('noise')
    with pytest.raises(MitoutsError, match="no stage 'studnet' in group 'noise30'; its runs have teacher, student"):
        suite.done_with('noise30', 'studnet')


def test_older_runs_name_their_distillations_by_their_files(suite_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / 's' / 'noise00' / 'fold0_seed0'
    shutil.copytree(suite_folder / 'noise00' / 'fold0_seed0', run)
    results = json.loads((run / 'results.json').read_text())
    summaries = results.pop('distillations')
    (run / 'results.json').write_text(json.dumps(results))
    assert read_suite(tmp_path / 's').runs[0].distillations == summaries


@pytest.mark.parametrize(
    ('file', 'content', 'message'),
    [
        ('run.json', '{"group": "g"}', r'run\.json lacks seed, fold, status; it has group'),
        ('run.json', '[]', r'run\.json: expected a JSON object, found a list'),
        ('results.json', '{"rows": 1}', r"results\.json: expected a list 'stages', found rows"),
    ],
)
def test_broken_files_are_named(small: Path, file: str, content: str, message: str) -> None:
    (small / 'g' / 'fold0_seed0' / file).write_text(content)
    with pytest.raises(MitoutsError, match=message):
        read_suite(small)


def test_half_a_file_is_named(small: Path) -> None:
    path = small / 'g' / 'fold0_seed0' / 'results.json'
    path.write_text(path.read_text()[:100])
    with pytest.raises(AnnotationError, match=r'results\.json: not JSON'):
        read_suite(small)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MitoutsError, match='no such folder'):
        read_suite(tmp_path / 'nowhere')
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    with pytest.raises(MitoutsError, match='holds no run: expected GROUP/foldK_seedS'):
        read_suite(tmp_path)
