"""The two steps of a cascade that are no training, from checkpoints: proposals, and putting the parts together.

    python tools/cascade.py propose CONFIG CHECKPOINT --out-dir work_dirs/mine/propose
    python tools/train.py VERIFIER_CONFIG --cfg-options train_dataloader.dataset.ann_file=.../train.json (and so on)
    python tools/cascade.py combine CASCADE_CONFIG PROPOSER VERIFIER --out-dir work_dirs/mine/cascade
    python tools/test.py work_dirs/mine/cascade/cascade.py work_dirs/mine/cascade/best.pth

A staged config does all of it (configs/detection/cascade_*.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.dist import is_main_process

from mitouts.engine.cascade import combine
from mitouts.engine.config import load_config
from mitouts.engine.data_sets import run_name
from mitouts.engine.launch import LAUNCHERS, init_launcher
from mitouts.engine.proposals import propose
from mitouts.utils.arguments import add_cfg_options, add_config, add_imports
from mitouts.utils.cli import run


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    propose_parser = commands.add_parser(
        'propose', help="write the annotation files of all splits with a localizer's false proposals added"
    )
    add_config(propose_parser, "the localizer's config; its proposals = dict(...) says how")
    propose_parser.add_argument('checkpoint', help='the localizer')
    propose_parser.add_argument(
        '--out-dir', type=Path, help='folder for the three files (default: proposals beside the checkpoint)'
    )
    combine_parser = commands.add_parser('combine', help='make one checkpoint of a proposer and a verifier')
    add_config(combine_parser, 'config whose model is a CascadeLocalizer')
    combine_parser.add_argument('proposer', help="the localizer's checkpoint")
    combine_parser.add_argument('verifier', help="the patch classifier's checkpoint")
    combine_parser.add_argument(
        '--out-dir', type=Path, help='folder for best.pth and cascade.py (default: work_dirs/CONFIG_DATA)'
    )
    for each in (propose_parser, combine_parser):
        add_cfg_options(each)
        add_imports(each)
        each.add_argument('--launcher', choices=LAUNCHERS, default='none')
        each.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    init_launcher(args.launcher)
    config = load_config(args.config, args.cfg_options, args.data)
    if args.command == 'propose':
        out_dir = args.out_dir or Path(args.checkpoint).parent / 'proposals'
        summary = propose(config, args.checkpoint, out_dir, launcher=args.launcher)
        counts = {split: ', '.join(f'{key} {n}' for key, n in found.items()) for split, found in summary.items()}
        text = '\n'.join([*(f'{split}: {each}' for split, each in counts.items()), f'written to {out_dir}'])
    else:
        out_dir = args.out_dir or Path('work_dirs') / run_name(args.config, args.data)
        cascade = combine(config, args.proposer, args.verifier, out_dir, launcher=args.launcher)
        text = f'{cascade.checkpoint}, to be tested with {out_dir / "cascade.py"}'
    if is_main_process():
        print(text)


if __name__ == '__main__':
    run(main)
