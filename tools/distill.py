"""Distil a Teacher's training set: write the annotation file that a Student trains on, and the hard samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.dist import is_main_process

from mitouts.distillation.distill import distill
from mitouts.engine.config import load_config
from mitouts.engine.launch import LAUNCHERS, init_launcher
from mitouts.utils.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="the Teacher's config, with distillation.criterion")
    parser.add_argument('checkpoint', help="the Teacher's checkpoint")
    parser.add_argument('--out-dir', help='folder for the two files (default: distillation beside the checkpoint)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    init_launcher(args.launcher)
    out_dir = Path(args.out_dir or Path(args.checkpoint).parent / 'distillation')
    result = distill(load_config(args.config, args.cfg_options), args.checkpoint, out_dir, launcher=args.launcher)
    if is_main_process():
        print(', '.join(f'{key}: {value}' for key, value in result.summary.items()))
        print(f'clean set: {result.distilled}\nhard samples: {result.hard_samples}')


if __name__ == '__main__':
    run(main)
