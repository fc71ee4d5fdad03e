"""Run a list of configs x seeds x folds; what is done is skipped, and one failing run does not stop the others.

    mitouts suite configs/suites/fields.yaml --set amibr=SRC --jobs 2 --threads 1

Each run works in ``work_dirs/suites/SUITE/GROUP/foldK_seedS``, with its log in ``log.txt`` and its state in
``run.json``. Killed or interrupted, the same command goes on. ``--submit='--gres=gpu:1 --time=4:00:00'`` hands each
run to Slurm instead, ``--gpus`` starts each with torchrun. The exit code is 1 when a run failed.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mitouts.errors import ConfigError
from mitouts.utils.arguments import Gather, add_imports, at_least, offer
from mitouts.utils.config_files import config_name, config_names, find_config

if TYPE_CHECKING:
    from mitouts.experiments.suite import SuiteRun


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.experiments.submission import submit
    from mitouts.experiments.suite import read_suite_file
    from mitouts.experiments.suite_runs import SuiteRunner

    runs = choose(read_suite_file(find_config(args.suite, '.yaml'), dict(args.set)), args.only)
    folder = args.work_dir or Path('work_dirs') / 'suites' / runs[0].suite
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if args.list:
        Console().print(listing(runs, folder))
        return 0

    def report(run: SuiteRun, what: str, remark: str) -> None:
        console.print(f'{run.name}: {what} ({remark})', markup=False)

    if args.submit is not None:
        return 1 if submit(runs, folder, own_words(args, folder), args.submit, report) else 0
    signal.signal(signal.SIGTERM, _interrupt)
    runner = SuiteRunner(folder, *launch_words(args), threads=args.threads, report=report)
    counts = runner.run_all(runs, args.jobs)
    console.print(', '.join(f'{number} {what}' for what, number in counts.items() if number) + f' in {folder}')
    return 1 if counts['failed'] else 0


def choose(runs: list[SuiteRun], patterns: list[str]) -> list[SuiteRun]:
    """Return the runs whose name matches a pattern, such as ``noise30/*``.

    Raises:
        ConfigError: A pattern fits none.
    """
    for pattern in patterns:
        if not any(fnmatch(run.name, pattern) for run in runs):
            groups = ', '.join(dict.fromkeys(run.group for run in runs))
            raise ConfigError(f'--only {pattern} fits no run; they are called like {runs[0].name}, groups: {groups}')
    return [run for run in runs if not patterns or any(fnmatch(run.name, pattern) for pattern in patterns)]


def launch_words(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the words of the command line before and after ``-m mitouts train``."""
    more = [*(['--amp'] if args.amp else []), *(f'--import={name}' for name in args.imports)]
    if args.gpus is None:
        return [sys.executable], more
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={args.gpus}']
    return torchrun, [*more, '--launcher', 'pytorch']


def own_words(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return this command without the choice of runs, for a Slurm job to start."""
    own = [sys.executable, '-m', 'mitouts', 'suite', str(args.suite), '--work-dir', str(folder)]
    own += [f'--set={key}={value}' for key, value in args.set]
    own += [f'--import={name}' for name in args.imports]
    own += ['--amp'] if args.amp else []
    own += [] if args.threads is None else [f'--threads={args.threads}']
    return own + ([] if args.gpus is None else [f'--gpus={args.gpus}'])


def listing(runs: list[SuiteRun], folder: Path) -> Table:
    """List the runs of the suite, and which of them are done."""
    from mitouts.experiments.suite_runs import is_finished

    table = Table('Run', 'Config', 'Stages', 'Done')
    for run in runs:
        done = is_finished(folder / run.group / run.folder_name, run)
        config = config_name(run.config) + ('' if run.data is None else f' --data {run.data}')
        table.add_row(run.name, config, ' '.join(run.stages) or 'all', 'yes' if done else 'no')
    return table


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    suite = parser.add_argument(
        'suite', type=Path, metavar='SUITE.yaml', help='a suite, or its name, such as suites/fields'
    )
    offer(suite, lambda: config_names('.yaml'))
    parser.add_argument('--work-dir', type=Path, help='folder of the suite (default: work_dirs/suites/NAME)')
    parser.add_argument(
        '--set',
        nargs='+',
        action=Gather,
        type=_assignment,
        default=[],
        metavar='NAME=VALUE',
        help='values of its variables',
    )
    parser.add_argument(
        '--only', nargs='+', action=Gather, default=[], metavar='PATTERN', help="runs, such as 'noise30/*_seed0'"
    )
    parser.add_argument('--jobs', type=at_least(1), default=1, help='runs at once (default: 1)')
    parser.add_argument('--threads', type=at_least(1), help='threads of each run (default: as the environment says)')
    parser.add_argument('--gpus', type=at_least(1), metavar='N', help='start each run with torchrun on N GPUs')
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU)')
    add_imports(parser)
    parser.add_argument(
        '--submit',
        type=_words,
        metavar='ARGUMENTS',
        help="hand each run to sbatch with these, such as --submit='--gres=gpu:1' (with the =)",
    )
    parser.add_argument('--list', action='store_true', help='say what there is and what is done, and run nothing')
    return parser


def _assignment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition('=')
    if not separator or not name:
        raise argparse.ArgumentTypeError(f'must be NAME=VALUE, found {text!r}')
    return name, value


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r}: {error}') from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop the trainings before this process ends, so that ``kill`` leaves none behind."""
    raise KeyboardInterrupt
