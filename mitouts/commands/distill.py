"""Distil a Teacher's training set: write the annotation file that a Student trains on, and the hard samples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mitouts.utils.arguments import add_cfg_options, add_checkpoint, add_config, add_imports, add_launcher
from mitouts.utils.defaults import SPLITS
from mitouts.visualization.tables import comparison_note


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config(parser, "the Teacher's config, with distillation.criterion")
    add_checkpoint(
        parser,
        'checkpoint',
        nargs='?',
        help="the Teacher's checkpoint; not for a criterion that looks at no prediction, such as OracleNoise",
    )
    parser.add_argument(
        '--out-dir',
        help='folder for the two files (default: distillation beside the checkpoint, or without one in '
        'work_dirs/CONFIG_DATA; distillation_val for --split val)',
    )
    parser.add_argument('--split', choices=SPLITS, default='train', help='the images that are judged')
    add_cfg_options(parser)
    add_imports(parser)
    add_launcher(parser)
    return parser


def default_out_dir(args: argparse.Namespace) -> Path:
    """Return the folder to write to if none was given."""
    from mitouts.engine.data_sets import run_name

    home = Path(args.checkpoint).parent if args.checkpoint else Path('work_dirs') / run_name(args.config, args.data)
    return home / ('distillation' if args.split == 'train' else f'distillation_{args.split}')


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    # Options may stand between the config and the checkpoint.
    args = build_parser().parse_intermixed_args(argv)

    from mmengine.dist import is_main_process

    from mitouts.engine.config import load_config
    from mitouts.engine.distill import distill
    from mitouts.engine.launch import init_launcher

    init_launcher(args.launcher)
    out_dir = Path(args.out_dir) if args.out_dir else default_out_dir(args)
    config = load_config(args.config, args.cfg_options, args.data)
    result = distill(config, args.checkpoint, out_dir, launcher=args.launcher, split=args.split)
    if is_main_process():
        print(', '.join(f'{key}: {value}' for key, value in result.summary.items()))
        note = comparison_note(result.summary)
        if note:
            print(note)
        print(f'clean set: {result.distilled}\nhard samples: {result.hard_samples}')
