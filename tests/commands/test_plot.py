"""tools/analysis/plot_*.py on a small suite: they write a figure, say what is in it, and explain what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from suite_runs import Group, write_suite

from mitouts.experiments.suite_results import read_suite

COMMANDS = ('plot ablation', 'plot confusion', 'plot froc')


@pytest.fixture(scope='module')
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = (Group('noise00'), Group('noise30', noise=0.3), Group('depth3', staged=False, folds=(None,)))
    return write_suite(tmp_path_factory.mktemp('suite'), groups)


@pytest.mark.parametrize('name', COMMANDS)
@pytest.mark.parametrize('suffix', ['.png', '.svg', '.pdf'])
def test_a_figure_is_written_and_described(call, suite: Path, tmp_path: Path, name: str, suffix: str):
    out = tmp_path / f'figure{suffix}'
    rows = ('noise30/teacher=Teacher', 'noise30/student=Student')
    code, text, warnings = call(name, suite, '--out', out, '--rows', *rows)
    assert code == 0
    assert out.stat().st_size > 5000
    assert text.splitlines()[-1] == str(out)
    assert [line.split()[0].rstrip(':') for line in text.splitlines()[:-1]] == ['Teacher', 'Student']
    assert 'warning: without results: noise30/fold1_seed1 (failed: TrainingError: the loss is nan' in warnings


def test_numbers_are_those_of_the_runs(call, suite: Path, tmp_path: Path):
    runs = read_suite(suite).done_with('depth3', 'model')
    blocks = [run.stages['model'].row['one_to_one'] for run in runs]
    tp, fp, fn = (sum(block[key] for block in blocks) / len(blocks) for key in ('tp', 'fp', 'fn'))
    _, text, _ = call('plot confusion', suite, '--out', tmp_path / 'a.svg', '--rows', 'depth3/model=M')
    assert text.splitlines()[0] == f'M: TP {tp:g}, FP {fp:g}, FN {fn:g}'
    _, text, _ = call('plot ablation', suite, '--out', tmp_path / 'b.svg', '--rows', 'depth3/model=M')
    assert f'localization F1 {2 * tp / (2 * tp + fp + fn):.3f} (' in text
    _, text, _ = call('plot froc', suite, '--out', tmp_path / 'c.svg', '--rows', 'depth3/model=M')
    assert f'finds {tp / (tp + fn):.3f} at {fp / (24 * 0.032**2):.3g} false positives per mm2' in text


def test_lines_and_costs(call, suite: Path, tmp_path: Path):
    rows = ('noise*/student=Student', 'noise*/control=Control')
    code, text, _ = call('plot ablation', suite, '--kind', 'lines', '--out', tmp_path / 'a.svg', '--rows', *rows)
    assert code == 0
    assert [line.split(':')[0] for line in text.splitlines()[:4]] == [
        'Student (noise00/student)', 'Student (noise30/student)', 'Control (noise00/control)',
        'Control (noise30/control)',
    ]  # fmt: skip
    rows = ('noise00/teacher+distill+student=UTS', 'noise00/control=Control')
    code, _, _ = call('plot ablation', suite, '--kind', 'cost', '--out', tmp_path / 'b.svg', '--rows', *rows)
    assert code == 0


@pytest.mark.parametrize('name', COMMANDS)
def test_every_tested_stage_is_shown_by_default(call, suite: Path, tmp_path: Path, name: str):
    code, text, _ = call(name, suite / 'noise00' / 'fold0_seed0', '--out', tmp_path / 'a.svg')
    assert code == 0
    assert len(text.splitlines()) == 6


@pytest.mark.parametrize('name', COMMANDS)
def test_bad_input_is_one_line(call, suite: Path, tmp_path: Path, name: str):
    out = tmp_path / 'a.png'
    for arguments, message in (
        ((tmp_path / 'none', '--out', out), 'no such folder'),
        ((suite, '--out', tmp_path / 'a.jpg'), "must end in .png, .svg, .pdf, found '.jpg'"),
        ((suite, '--out', out, '--rows', 'noise30/pupil'), "no stage 'pupil' in group 'noise30'"),
        ((suite, '--out', out, '--root', tmp_path, '--ann-file', tmp_path / 'b.json', '--rows', 'x/y'), "no group 'x'"),
    ):
        code, _, errors = call(name, *arguments)
        assert code == 2
        assert errors.startswith('error: ')
        assert message in errors
        assert errors.count('\n') == 1
    assert not out.exists()


def test_a_group_without_results_says_so(call, tmp_path: Path):
    suite = write_suite(tmp_path, (Group('noise00', folds=(0,), seeds=(0,)),), failed=('noise00', 0, 0))
    code, _, errors = call('plot ablation', suite, '--out', tmp_path / 'a.svg', '--rows', 'noise00/student')
    assert code == 2
    assert 'no run of the rows is done: noise00/fold0_seed0 (failed: TrainingError' in errors


def test_curves_of_a_suite_share_a_line_by_group_and_stage(call, suite: Path, tmp_path: Path):
    runs = sorted(suite.glob('noise00/fold*/student')) + sorted(suite.glob('noise30/fold*/student'))
    code, text, _ = call('plot curves', *runs, '--metrics', 'image/f1', 'loss', '--out', tmp_path / 'a.svg')
    assert code == 0
    expected = [run.stages['student'].row['image']['f1'] for run in read_suite(suite).done_with('noise00', 'student')]
    assert text.splitlines()[0] == f'noise00/student: image/f1 {sum(expected) / 4:.4g} at epoch 3 (4 of 4 runs)'
    assert any(line.startswith('noise30/student: loss') for line in text.splitlines())


def test_curves_have_the_labels_they_are_given(call, suite: Path, tmp_path: Path):
    runs = [suite / 'noise00' / 'fold0_seed0' / name for name in ('teacher', 'student')]
    options = ['--labels', 'A', 'A', '--metrics', 'image/f1', 'train/distance_px', '--out', tmp_path / 'a.pdf']
    code, text, _ = call('plot curves', *runs, *options)
    assert code == 0
    assert [line.split(' (')[1] for line in text.splitlines()[:2]] == ['2 of 2 runs)', '0 of 2 runs)']


def test_curves_draw_no_panel_by_default_that_no_run_has_logged(call, suite: Path, tmp_path: Path):
    run, shapes = suite / 'noise00' / 'fold0_seed0' / 'teacher', []
    for name, options in (('default', ()), ('asked', ('--metrics', 'image/f1'))):
        code, text, _ = call('plot curves', run, *options, '--out', tmp_path / f'{name}.png')
        assert (code, text.count('image/f1'), text.count('not logged')) == (0, 1, 0)
        shapes.append(cv2.imread(str(tmp_path / f'{name}.png')).shape)
    assert shapes[0] == shapes[1], 'one panel each'


def test_curves_explain_bad_input(call, suite: Path, tmp_path: Path):
    run, out = suite / 'noise00' / 'fold0_seed0', tmp_path / 'a.svg'
    for arguments, message in (
        ((run, '--out', out), 'it is an experiment, give a stage of it (control, oracle, random, student, teacher)'),
        ((tmp_path / 'none', '--out', out), 'no such folder'),
        ((tmp_path, '--out', out), 'has no scalar log'),
        ((run / 'teacher', '--labels', 'a', 'b', '--out', out), '2 labels for 1 runs'),
        ((run / 'teacher', '--metrics', 'f2', '--out', out), 'no run has logged f2; the logs have image/auc, image/f1'),
        ((run / 'teacher', '--out', tmp_path / 'a.gif'), 'must end in'),
    ):
        code, _, errors = call('plot curves', *arguments)
        assert (code, message in errors, errors.count('\n')) == (2, True, 1), errors
