"""Make the proposals that a cascade's verifier is trained on, or join proposer and verifier in one checkpoint.

    mitouts cascade propose CONFIG CHECKPOINT --out-dir work_dirs/mine/propose
    mitouts train VERIFIER_CONFIG --cfg-options train_dataloader.dataset.ann_file=.../train.json (and so on)
    mitouts cascade combine CASCADE_CONFIG PROPOSER VERIFIER --out-dir work_dirs/mine/cascade
    mitouts test work_dirs/mine/cascade/cascade.py work_dirs/mine/cascade/best.pth

A staged config does all of it (configs/detection/cascade_*.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mitouts.utils.arguments import add_cfg_options, add_checkpoint, add_config, add_imports, add_launcher


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    propose_parser = commands.add_parser(
        'propose', help="write the annotation files of all splits with a localizer's false proposals added"
    )
    add_config(propose_parser, "the localizer's config; its proposals = dict(...) says how")
    add_checkpoint(propose_parser, 'checkpoint', help='the localizer')
    propose_parser.add_argument(
        '--out-dir', type=Path, help='folder for the three files (default: proposals beside the checkpoint)'
    )
    combine_parser = commands.add_parser('combine', help='make one checkpoint of a proposer and a verifier')
    add_config(combine_parser, 'config whose model is a CascadeLocalizer')
    add_checkpoint(combine_parser, 'proposer', help="the localizer's checkpoint")
    add_checkpoint(combine_parser, 'verifier', help="the patch classifier's checkpoint")
    combine_parser.add_argument(
        '--out-dir', type=Path, help='folder for best.pth and cascade.py (default: work_dirs/CONFIG_DATA)'
    )
    for part in (propose_parser, combine_parser):
        add_cfg_options(part)
        add_imports(part)
        add_launcher(part)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mmengine.dist import is_main_process

    from mitouts.engine.cascade import combine
    from mitouts.engine.config import load_config
    from mitouts.engine.data_sets import run_name
    from mitouts.engine.launch import init_launcher
    from mitouts.engine.proposals import propose

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
