"""Running a suite: what is done is skipped, what failed is put down, and nothing runs twice at once."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_training import calls, wait_until, write_configs

from mitouts.engine.stages import load_experiment
from mitouts.experiments import suite as suite_module
from mitouts.experiments.suite import SuiteRun
from mitouts.experiments.suite_runs import SuiteRunner, is_finished, last_lines


@pytest.fixture(autouse=True)
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_configs(tmp_path)
    suite_module._settings.cache_clear()
    return tmp_path


class Suite:
    """A suite folder, and what the last call of :meth:`run` said of each run."""

    folder = Path('work/s')

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def run(self, *runs: SuiteRun, jobs: int = 1, **arguments: Any) -> dict[str, int]:
        suite_module._settings.cache_clear()
        self.said = []
        # Without its site packages Python starts much faster.
        words = {'launcher': (sys.executable, '-S'), **arguments}
        runner = SuiteRunner(
            self.folder, report=lambda run, what, remark: self.said.append((run.name, what, remark)), **words
        )
        counts = runner.run_all(runs, jobs)
        return {what: number for what, number in counts.items() if number}

    def home(self, run: SuiteRun) -> Path:
        return self.folder / run.name

    def state(self, run: SuiteRun) -> dict[str, Any]:
        return json.loads((self.home(run) / 'run.json').read_text())


@pytest.fixture
def suite() -> Suite:
    return Suite()


def staged(seed: int = 0, *stages: str, **settings: Any) -> SuiteRun:
    options = (f'*.randomness.seed={seed}',)
    return SuiteRun('s', 'g', 'staged.py', None, seed, **{'cfg_options': options, 'stages': stages, **settings})


def test_a_run_is_trained_with_its_words_and_leaves_its_state(suite: Suite) -> None:
    run = replace(staged(3, 'teacher', 'distill'), fold=1)
    assert suite.run(run) == {'done': 1}
    (call,) = calls(Path('work/s/g/fold1_seed3'))
    words = 'staged.py --work-dir work/s/g/fold1_seed3 --resume --stages teacher distill --cfg-options'
    assert call['words'] == [*words.split(), '*.randomness.seed=3']
    state = suite.state(run)
    expected = dict(
        suite='s',
        group='g',
        config='staged.py',
        fold=1,
        seed=3,
        status='done',
        error=None,
        cfg_options=['*.randomness.seed=3'],
    )
    assert {key: state[key] for key in expected} == expected
    assert 0 < state['minutes'] < 1
    log = (suite.home(run) / 'log.txt').read_text()
    assert log.startswith(f'$ {sys.executable} -S -m mitouts train staged.py --work-dir')
    assert "'*.randomness.seed=3'\ntraining staged.py\n" in log


def test_launcher_and_arguments_stand_around_the_tool(suite: Suite) -> None:
    Path('torchrun.py').write_text("import sys, runpy; del sys.argv[1:5]; runpy.run_path('mitouts')")
    run = staged()
    suite.run(run, launcher=(sys.executable, '-S', 'torchrun.py', '--standalone', '--nproc=2'), arguments=('--amp',))
    (call,) = calls(suite.home(run))
    assert call['words'][-4:] == ['--resume', '--amp', '--cfg-options', '*.randomness.seed=0']


@pytest.mark.parametrize('threads', [None, 3])
def test_threads_are_those_of_the_suite_or_of_the_environment(
    threads: int | None, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '17')
    suite.run(staged(), threads=threads)
    assert calls(suite.home(staged()))[0]['threads'] == str(threads or 17)


def test_a_plain_config_is_an_experiment_of_one_stage_called_model(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / 'disk' / 'deep').mkdir(parents=True)
    (tmp_path / 'work').symlink_to(tmp_path / 'disk' / 'deep')
    run = SuiteRun('s', 'g', 'plain.py', None, 0, ('model.lr=0.5', '*.randomness.seed=4'))
    assert suite.run(run) == {'done': 1}
    (call,) = calls(suite.home(run))
    experiment = load_experiment(call['words'][0], suite.home(run), run.cfg_options)
    (stage,) = experiment.stages
    assert (stage.name, stage.kind, stage.config.lr, stage.config.randomness.seed) == ('model', 'train', 0.5, 4)


def test_the_data_set_reaches_the_training(suite: Suite) -> None:
    run = SuiteRun('s', 'g', 'on_data.py', None, 0, ('model.lr=0.5',), data='there')
    assert suite.run(run) == {'done': 1}
    words = calls(suite.home(run))[0]['words']
    assert words[words.index('--data') + 1] == 'there'
    (stage,) = load_experiment(words[0], suite.home(run), run.cfg_options, data=run.data).stages
    assert stage.config.where == 'there'
    assert suite.state(run)['data'] == 'there'
    assert suite.run(run) == {'skipped': 1}
    assert suite.run(replace(run, data='here')) == {'done': 1}


def test_what_is_done_is_skipped(suite: Suite) -> None:
    runs = [staged(seed) for seed in range(3)]
    assert suite.run(*runs[:2]) == {'done': 2}
    assert suite.run(*runs) == {'skipped': 2, 'done': 1}
    assert suite.said[0] == ('g/seed0', 'skipped', 'done earlier')
    assert [len(calls(suite.home(run))) for run in runs] == [1, 1, 1]


@pytest.mark.parametrize('changed', ['an override', 'the config', 'a base', 'the stages'])
def test_what_has_changed_is_run_again(changed: str, suite: Suite) -> None:
    run = staged()
    suite.run(run)
    if changed == 'an override':
        run = replace(run, cfg_options=('*.lr=1', *run.cfg_options))
    elif changed == 'the stages':
        run = replace(run, stages=('teacher',))
    else:
        path = Path('staged.py' if changed == 'the config' else 'base.py')
        path.write_text(path.read_text() + 'more = 1\n')
    assert suite.run(run) == {'done': 1}
    assert suite.run(run) == {'skipped': 1}
    assert len(calls(suite.home(run))) == 2
    assert suite.state(run)['cfg_options'] == list(run.cfg_options)


def test_going_back_to_earlier_settings_is_not_done_before_it_is_run(suite: Suite) -> None:
    """Otherwise a folder that holds the other settings' results would pass for done."""
    first, second = staged(), replace(staged(), cfg_options=('*.lr=1',))
    suite.run(first)
    suite.run(second)
    Path('fail').write_text('seed0')
    assert suite.run(first) == {'failed': 1}
    assert not is_finished(suite.home(first), first)
    Path('fail').unlink()
    assert suite.run(first) == {'done': 1}
    assert not is_finished(suite.home(second), second)


def test_a_config_edited_during_its_training_is_run_again(suite: Suite) -> None:
    Path('edit').write_text('seed0')
    assert suite.run(staged()) == {'done': 1}
    Path('edit').unlink()
    assert suite.run(staged()) == {'done': 1}
    assert suite.run(staged()) == {'skipped': 1}


def test_entries_that_were_done_before_settings_were_kept_stay_done(suite: Suite) -> None:
    run = staged()
    suite.run(run)
    state = suite.state(run)
    del state['settings']
    (suite.home(run) / 'run.json').write_text(json.dumps(state))
    assert suite.run(run) == {'skipped': 1}


def test_a_failing_run_is_put_down_and_the_others_go_on(suite: Suite) -> None:
    runs = [staged(seed) for seed in range(3)]
    Path('fail').write_text('seed1')
    assert suite.run(*runs, jobs=2) == {'done': 2, 'failed': 1}
    said = {name: (what, remark) for name, what, remark in suite.said}
    assert said['g/seed1'] == (
        'failed',
        'exit code 1: training staged.py | step 1 | error: the loss is nan (all of it: work/s/g/seed1/log.txt)',
    )
    state = suite.state(runs[1])
    assert (state['status'], state['error']) == ('failed', said['g/seed1'][1])
    assert suite.state(runs[2])['status'] == 'done'
    Path('fail').unlink()
    assert suite.run(*runs) == {'skipped': 2, 'done': 1}
    assert (suite.state(runs[1])['status'], suite.state(runs[1])['error']) == ('done', None)


def test_an_entry_that_succeeds_does_not_hide_that_another_of_its_folder_failed(suite: Suite) -> None:
    failing, good = staged(0, 'teacher'), staged(0, 'student')
    Path('fail').write_text('--stages teacher')
    assert suite.run(failing, good) == {'failed': 1, 'done': 1}
    state = suite.state(good)
    assert (state['status'], list(state['finished'])) == ('failed', [good.entry])
    assert 'the loss is nan' in state['error']
    Path('fail').unlink()
    assert suite.run(failing, good) == {'done': 1, 'skipped': 1}
    assert suite.state(good)['status'] == 'done'


def test_a_config_that_breaks_meanwhile_fails_its_run_alone(suite: Suite) -> None:
    Path('weak.py').unlink()
    plain = SuiteRun('s', 'p', 'plain.py', None, 0, ('model.lr=1',))
    assert suite.run(staged(), plain) == {'failed': 1, 'done': 1}
    state = suite.state(staged())
    assert state['status'] == 'failed'
    assert state['error'].endswith('weak.py does not exist')


def test_a_folder_that_cannot_be_made_and_a_launcher_that_does_not_exist(suite: Suite) -> None:
    other = replace(staged(), group='h')
    suite.folder.mkdir(parents=True)
    (suite.folder / 'h').write_text('a file')
    assert suite.run(other, staged()) == {'failed': 1, 'done': 1}
    assert suite.run(staged(1), launcher=('no-such-launcher',)) == {'failed': 1}
    assert suite.state(staged(1))['error'] == 'no-such-launcher: No such file or directory'


@pytest.mark.parametrize('content', ['{"status": "do', '[1]', '\ufffe'])
def test_a_state_that_is_broken_is_none(content: str, suite: Suite) -> None:
    suite.home(staged()).mkdir(parents=True)
    (suite.home(staged()) / 'run.json').write_text(content, encoding='utf-16')
    assert suite.run(staged()) == {'done': 1}


APPEND = (
    "import sys; open('prepared.txt', 'a').write(sys.argv[1] + chr(10)); print('prepared'); "
    "sys.exit(' '.join(sys.argv[2:]) or 0)"
)


def prepared() -> list[str]:
    path = Path('prepared.txt')
    return path.read_text().split() if path.is_file() else []


def test_what_comes_before_is_run_once_for_all_that_need_it(suite: Suite) -> None:
    common, own = ('python', '-S', '-c', APPEND, 'common'), ('python', '-S', '-c', APPEND, 'own')
    runs = [staged(seed, prepare=(common,)) for seed in range(3)] + [staged(3, prepare=(common, own)), staged(4)]
    assert suite.run(*runs, jobs=2) == {'done': 5}
    assert prepared() == ['common', 'own']
    assert (suite.folder / 'prepare_0.txt').read_text().endswith('prepared\n')
    assert suite.run(*runs) == {'skipped': 5}
    assert prepared() == ['common', 'own']


def test_what_comes_before_and_fails_is_the_error_of_all_that_need_it(suite: Suite) -> None:
    failing = ('python', '-S', '-c', APPEND, 'a', 'no data')
    runs = [staged(0, prepare=(failing,)), staged(1), staged(2, prepare=(failing,))]
    assert suite.run(*runs) == {'failed': 2, 'done': 1}
    assert prepared() == ['a']
    for run in (runs[0], runs[2]):
        error = suite.state(run)['error']
        assert error.startswith("python -S -c 'import sys;")
        assert 'exit code 1: prepared | no data (all of it: work/s/prepare_0.txt)' in error
        assert calls(suite.home(run)) == []
    suite.run(staged(5, prepare=(('no-such-command', 'x'),)))
    assert suite.state(staged(5))['error'] == 'no-such-command x: no-such-command: No such file or directory'


SLOW = (
    'import time; begin = time.time(); time.sleep(0.3); '
    "open('prepared.txt', 'a').write(f'{begin} {time.time()}' + chr(10))"
)


def test_two_processes_do_not_prepare_at_once(suite: Suite) -> None:
    """As the jobs of a cluster would. A lock is of an open file, so two runners in one process are as two processes."""
    threads = [
        threading.Thread(target=Suite().run, args=(staged(seed, prepare=(('python', '-S', '-c', SLOW),)),))
        for seed in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(map(float, prepared()))
    begins, ends = times[0::2], times[1::2]
    spans = [tuple(map(float, line.split())) for line in Path('prepared.txt').read_text().splitlines()]
    assert sorted(spans) == list(zip(begins, ends))
    assert [suite.state(staged(seed))['status'] for seed in range(2)] == ['done', 'done']


def test_a_folder_that_another_process_works_in_is_busy(suite: Suite) -> None:
    suite.home(staged()).mkdir(parents=True)
    with (suite.home(staged()) / 'run.lock').open('w') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert suite.run(staged(), staged(1)) == {'busy': 1, 'done': 1}
        assert suite.said[0] == ('g/seed0', 'busy', 'another process is at it')
        assert not (suite.home(staged()) / 'run.json').exists()
    assert suite.run(staged()) == {'done': 1}


def test_entries_of_one_folder_wait_for_each_other(suite: Suite) -> None:
    entries = [staged(0, 'teacher'), staged(0, 'distill'), staged(0, 'student')]
    assert suite.run(*entries, jobs=3) == {'done': 3}
    spans = [(call['begin'], call['end']) for call in calls(suite.home(staged()))]
    assert len(spans) == 3
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_runs_of_different_folders_go_at_once(suite: Suite) -> None:
    Path('wait').write_text('staged.py')
    runs = [staged(0), staged(1)]
    thread = threading.Thread(target=suite.run, args=runs, kwargs={'jobs': 2})
    thread.start()
    wait_until(lambda: all((suite.home(run) / 'waiting').exists() for run in runs))
    assert [suite.state(run)['status'] for run in runs] == ['running', 'running']
    Path('go').touch()
    thread.join()
    assert [suite.state(run)['status'] for run in runs] == ['done', 'done']


def test_a_worker_that_is_left_behind_does_not_keep_the_folder(suite: Suite) -> None:
    """A data loader's worker may outlive its training by seconds, and it holds the training's files."""
    Path('mitouts/__main__.py').write_text(
        'import os, sys, time\n'
        "if '--stages' in sys.argv and os.fork() == 0:\n"
        "    os.closerange(1, 3); open('pid', 'w').write(str(os.getpid())); time.sleep(60); os._exit(0)\n"
    )
    assert suite.run(staged(0, 'teacher'), staged(0)) == {'done': 2}
    wait_until(lambda: Path('pid').is_file() and Path('pid').read_text())
    os.kill(int(Path('pid').read_text()), 9)


def test_last_lines_are_those_that_say_something(tmp_path: Path) -> None:
    log = tmp_path / 'log.txt'
    log.write_bytes(b'before\n')
    assert last_lines(log, len('before\n')) == 'it said nothing'
    log.write_bytes(b'before\na\n\n b \r\nc\n\xff d\n\n')
    assert last_lines(log, len('before\n')) == 'b | c | \ufffd d'
