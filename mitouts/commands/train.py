"""Train by a config, or run the stages of a staged config (Teacher, distillation, Student)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mitouts.errors import ConfigError
from mitouts.utils.arguments import Gather, add_cfg_options, add_config, add_imports, add_launcher


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config(parser)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG_DATA)')
    parser.add_argument('--resume', action='store_true', help='go on where an earlier run stopped')
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU)')
    parser.add_argument('--stages', nargs='+', action=Gather, default=[], metavar='NAME', help='run only these stages')
    add_cfg_options(parser, 'overrides; STAGE.KEY=VALUE in a staged config')
    add_imports(parser)
    add_launcher(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.engine import runs
    from mitouts.engine.config import enable_amp, load_config
    from mitouts.engine.data_sets import run_name
    from mitouts.engine.launch import init_launcher
    from mitouts.engine.stages import load_experiment
    from mitouts.experiments.stage_table import report

    work_dir = Path(args.work_dir or Path('work_dirs') / run_name(args.config, args.data))
    init_launcher(args.launcher)
    if load_config(args.config, data=args.data).get('stages'):
        experiment = load_experiment(
            args.config, work_dir, args.cfg_options, data=args.data, launcher=args.launcher, amp=args.amp
        )
        results = experiment.run(resume=args.resume, only=args.stages)
        report(experiment, results, Console())
        return
    if args.stages:
        raise ConfigError(f'--stages: {args.config} has no stages')
    config = load_config(args.config, args.cfg_options, args.data)
    if args.amp:
        enable_amp(config)
    trained = runs.train(config, work_dir, resume=args.resume, launcher=args.launcher)
    print(f'best checkpoint: {trained.checkpoint} ({trained.minutes:.1f} minutes)')
