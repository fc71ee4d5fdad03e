"""mitouts suite as a user calls it: what it prints, hands to Slurm, survives, and how it ends."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_training import calls, wait_until, write_configs
from tiny_experiment import write_tiny

from mitouts.commands import suite
from mitouts.commands.main import main
from mitouts.experiments import suite as suite_module

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = """
name: s
variables: {data: null, more: 1}
seeds: [0, 1]
cfg_options: ['*.data={data}', '*.more={more}']
groups:
  - {name: staged, config: staged.py, stages: [teacher, distill]}
  - {name: plain, config: plain.py, folds: [2]}
"""
WORK = Path('work_dirs/suites/s')

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    write_configs(tmp_path)
    Path('suite.yaml').write_text(SUITE)
    suite_module._settings.cache_clear()
    suite_module._stages.cache_clear()
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


def state(name: str) -> dict[str, Any]:
    return json.loads((WORK / name / 'run.json').read_text())


def one_line(result: tuple[int, str, str]) -> str:
    """The error of a call that was refused."""
    code, out, err = result
    assert (code, out, err.count('\n'), err.startswith('error: ')) == (2, '', 1, True), err
    return err


def test_a_suite_is_run_and_what_is_done_is_skipped(call: Call) -> None:
    code, out, err = call('suite', 'suite.yaml', '--set', 'data=a b', '--jobs', '2', '--threads', '3')
    assert (code, out) == (0, '')
    assert sorted(line.partition(': done (0.')[0] for line in err.splitlines()[:-1]) == [
        'plain/fold2_seed0',
        'plain/fold2_seed1',
        'staged/seed0',
        'staged/seed1',
    ]
    assert err.splitlines()[-1] == f'4 done in {WORK}'
    (trained,) = calls(WORK / 'staged' / 'seed1')
    assert trained['threads'] == '3'
    assert trained['words'][-4:] == ['--cfg-options', '*.data=a b', '*.more=1', '*.randomness.seed=1']
    code, _, err = call('suite', 'suite.yaml', '--set', 'data=a b')
    assert (code, err.splitlines()[-1]) == (0, f'4 skipped in {WORK}')
    assert 'staged/seed0: skipped (done earlier)' in err


def test_a_run_that_fails_is_named_with_its_error(call: Call) -> None:
    Path('fail').write_text('staged/seed0')
    code, _, err = call('suite', 'suite.yaml', '--set', 'data=1', '--work-dir', 'elsewhere')
    assert code == 1
    line = next(line for line in err.splitlines() if line.startswith('staged/seed0'))
    assert line.startswith('staged/seed0: failed (exit code 1: training staged.py | step 1 | error: the loss is nan')
    assert err.splitlines()[-1] == '3 done, 1 failed in elsewhere'
    assert json.loads(Path('elsewhere/staged/seed0/run.json').read_text())['status'] == 'failed'
    assert 'Traceback' not in err


def test_runs_can_be_chosen(call: Call) -> None:
    settings = ['--set', 'data=1', '--set', 'more=2', '--only', 'plain/*_seed1', '--only', 'staged/seed0']
    code, _, err = call('suite', 'suite.yaml', *settings)
    assert (code, err.splitlines()[-1]) == (0, f'2 done in {WORK}')
    assert sorted(str(path.parent.relative_to(WORK)) for path in WORK.glob('*/*/run.json')) == [
        'plain/fold2_seed1',
        'staged/seed0',
    ]
    assert '*.more=2' in calls(WORK / 'staged' / 'seed0')[0]['words']
    message = one_line(call('suite', 'suite.yaml', '--set', 'data=1', '--only', 'staged/*', 'palin/*'))
    assert '--only palin/* fits no run; they are called like staged/seed0, groups: staged, plain' in message


def test_the_list_says_what_is_done_and_runs_nothing(call: Call) -> None:
    call('suite', 'suite.yaml', '--set', 'data=1', '--only', 'staged/seed1')
    code, out, _ = call('suite', 'suite.yaml', '--set', 'data=1', '--list')
    rows = [[cell.strip() for cell in line.strip('│').split('│')] for line in out.splitlines() if '│' in line]
    assert code == 0
    assert rows == [
        ['staged/seed0', 'staged.py', 'teacher distill', 'no'],
        ['staged/seed1', 'staged.py', 'teacher distill', 'yes'],
        ['plain/fold2_seed0', 'plain.py', 'all', 'no'],
        ['plain/fold2_seed1', 'plain.py', 'all', 'no'],
    ]
    assert not (WORK / 'plain').exists()
    call('suite', 'suite.yaml', '--set', 'data=2', '--list')
    assert not calls(WORK / 'staged' / 'seed0')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.yaml'], 'error: suite none.yaml does not exist'),
        (['suite.yaml'], 'needs {data}: give --set data=VALUE'),
        (['suite.yaml', '--set', 'data=1', 'dta=2'], 'has no variables dta; it has data, more'),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, call: Call) -> None:
    assert message in one_line(call('suite', *arguments))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--set', 'data'], "must be NAME=VALUE, found 'data'"),
        (['--set', '=1'], "must be NAME=VALUE, found '=1'"),
        (['--jobs', '0'], 'must be at least 1'),
        (["--submit=--gres='gpu"], 'No closing quotation'),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str, call: Call) -> None:
    code, _, err = call('suite', 'suite.yaml', *arguments)
    assert (code, message in err) == (2, True), err


@pytest.mark.parametrize(
    ('gpus', 'amp', 'before', 'behind'),
    [
        (None, False, [sys.executable], []),
        (None, True, [sys.executable], ['--amp']),
        (
            4,
            True,
            [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=4'],
            ['--amp', '--launcher', 'pytorch'],
        ),
    ],
)
def test_gpus_are_shared_by_torchrun(gpus: int | None, amp: bool, before: list[str], behind: list[str]) -> None:
    assert suite.launch_words(Namespace(gpus=gpus, amp=amp, imports=[])) == (before, behind)


SBATCH = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done >> submitted.bin
if [ -e refuse ]; then echo 'sbatch: error: no such partition' >&2; exit 1; fi
echo 'Submitted batch job 7'
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """A sbatch that notes its words; gives those of each call."""
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'sbatch').write_text(SBATCH)
    (tmp_path / 'bin' / 'sbatch').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}:{os.environ["PATH"]}')

    def submitted() -> list[list[str]]:
        path = Path('submitted.bin')
        words = path.read_text().split('\0')[:-1] if path.is_file() else []
        starts = [index for index, word in enumerate(words) if word.startswith('--job-name=')]
        return [words[start:end] for start, end in zip(starts, [*starts[1:], len(words)])]

    return submitted


def test_each_run_is_handed_to_slurm_as_a_call_of_this_tool(call: Call, sbatch: Callable[[], list[list[str]]]) -> None:
    settings = ['--set', 'data=a b', '--set', 'more=$HOME', '--threads', '2']
    call('suite', 'suite.yaml', *settings, '--only', 'plain/fold2_seed0')
    # A second entry of a group belongs to the job of its folder.
    Path('suite.yaml').write_text(SUITE + '  - {name: staged, config: staged.py, stages: [student]}\n')
    code, _, err = call('suite', 'suite.yaml', *settings, "--submit=--gres=gpu:1 --comment='my job'")
    assert code == 0
    assert err.splitlines() == [
        'staged/seed0: submitted (Submitted batch job 7)',
        'staged/seed1: submitted (Submitted batch job 7)',
        'plain/fold2_seed0: skipped (done earlier)',
        'plain/fold2_seed1: submitted (Submitted batch job 7)',
    ]
    jobs = sbatch()
    assert [job[:-1] for job in jobs] == [
        [f'--job-name={name}', f'--output={WORK / name}/slurm_%j.txt', '--gres=gpu:1', '--comment=my job']
        for name in ('staged/seed0', 'staged/seed1', 'plain/fold2_seed1')
    ]
    assert not calls(WORK / 'staged' / 'seed0')
    # What Slurm will run does that run, with the same settings.
    words = shlex.split(jobs[0][-1].removeprefix('--wrap='))
    assert words[:4] == [sys.executable, '-m', 'mitouts', 'suite']
    code, _, err = call('suite', *words[4:])
    assert (code, err.splitlines()[-1]) == (0, f'2 done in {WORK}')
    first, second = calls(WORK / 'staged' / 'seed0')
    assert first['threads'] == '2'
    assert first['words'][-3:] == ['*.data=a b', '*.more=$HOME', '*.randomness.seed=0']
    assert second['words'][second['words'].index('--stages') + 1] == 'student'


def test_gpus_and_amp_reach_the_job(call: Call, sbatch: Callable[[], list[list[str]]]) -> None:
    call('suite', 'suite.yaml', '--set', 'data=1', '--only', 'staged/seed0', '--gpus=2', '--amp', '--submit', '')
    (job,) = sbatch()
    assert {'--amp', '--gpus=2'} <= {*shlex.split(job[-1].removeprefix('--wrap='))}


def test_a_job_that_is_refused_is_said_to_be(call: Call, sbatch: Callable[[], list[list[str]]]) -> None:
    Path('refuse').touch()
    code, _, err = call('suite', 'suite.yaml', '--set', 'data=1', '--submit', '')
    assert code == 1
    assert err.count('failed (sbatch: error: no such partition)') == len(sbatch()) == 4


def test_without_slurm_it_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', '/nowhere')
    message = one_line(call('suite', 'suite.yaml', '--set', 'data=1', '--submit', ''))
    assert '--submit needs sbatch, which is not on PATH' in message


FORK = multiprocessing.get_context('fork')
WORDS = ['suite.yaml', '--set', 'data=1', '--only', 'staged/*', '--jobs', '2']


def _run_in_a_group_of_its_own() -> None:
    os.setsid()
    # A shell starts its background jobs with SIGINT ignored, and these tests may run in one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(['suite', *WORDS])


@pytest.fixture
def running() -> Iterator[Any]:
    """The tool in a process of its own, two trainings of its at work; a fork, because torch takes long to import."""
    Path('wait').write_text('staged.py')
    process = FORK.Process(target=_run_in_a_group_of_its_own)
    process.start()
    wait_until(lambda: all(_training(seed).is_file() and _training(seed).read_text() for seed in (0, 1)))
    yield process
    Path('go').touch()
    process.join(30)
    process.close()


def _training(seed: int) -> Path:
    return WORK / 'staged' / f'seed{seed}' / 'waiting'


def _is_alive(pid: int) -> bool:
    status = Path(f'/proc/{pid}/status')
    return status.is_file() and 'State:\tZ' not in status.read_text()


def _go_on(call: Call) -> tuple[int, str]:
    Path('go').touch()
    code, _, err = call('suite', *WORDS)
    return code, err.splitlines()[-1]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_takes_its_trainings_with_it(number: signal.Signals, running: Any, call: Call) -> None:
    trainings = [int(_training(seed).read_text()) for seed in (0, 1)]
    os.kill(running.pid, number)
    running.join(30)
    assert running.exitcode == 130
    assert not any(map(_is_alive, trainings))
    assert [(state(f'staged/seed{seed}')['status'], state(f'staged/seed{seed}')['error']) for seed in (0, 1)] == [
        ('failed', 'interrupted')
    ] * 2
    assert _go_on(call) == (0, f'2 done in {WORK}')


def test_killed_with_its_trainings_the_same_command_goes_on(running: Any, call: Call) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.join(30)
    assert state('staged/seed0')['status'] == 'running'
    assert _go_on(call) == (0, f'2 done in {WORK}')
    assert '--resume' in calls(WORK / 'staged' / 'seed0')[0]['words']


def test_killed_alone_its_trainings_keep_their_folders(running: Any, call: Call) -> None:
    """Two trainings in one folder would spoil each other's checkpoints."""
    trainings = [int(_training(seed).read_text()) for seed in (0, 1)]
    os.kill(running.pid, signal.SIGKILL)
    running.join(30)
    assert all(map(_is_alive, trainings))
    code, _, err = call('suite', *WORDS)
    assert (code, err.splitlines()[-1]) == (0, f'2 busy in {WORK}')
    Path('go').touch()
    wait_until(lambda: not any(map(_is_alive, trainings)))
    assert _go_on(call) == (0, f'2 done in {WORK}')


@pytest.mark.slow
def test_a_real_training_of_a_plain_config(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_tiny(tmp_path / 'tiny')
    suite = tmp_path / 'real.yaml'
    suite.write_text(
        f'name: real\nseeds: [5]\ncfg_options: [model.train_cfg.max_epochs=1]\n'
        f'groups:\n  - {{name: tiny, config: {config}}}\n'
    )
    monkeypatch.chdir(REPOSITORY)
    words = [suite, '--work-dir', tmp_path / 'work', '--threads', '1']
    code, _, err = call('suite', *words)
    assert code == 0, err
    home = tmp_path / 'work' / 'tiny' / 'seed5'
    assert json.loads((home / 'run.json').read_text())['status'] == 'done'
    (row,) = json.loads((home / 'results.json').read_text())['stages']
    assert (row['stage'], row['kind'], row['images'], row['positive_categories']) == ('model', 'train', 16, [1])
    assert row['test_ann_file'] == str(tmp_path / 'tiny' / 'data' / 'test.json')
    assert json.loads((home / 'model' / 'started.json').read_text())['seed'] == 5
    assert (home / 'model' / 'predictions.json').is_file()
    code, _, err = call('suite', *words)
    assert (code, err.splitlines()[-1]) == (0, f'1 skipped in {tmp_path / "work"}')
