"""Test a checkpoint on the test images of a config."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mitouts.formats.coco import write_json
from mitouts.utils.arguments import (
    add_adapt_bn,
    add_cfg_options,
    add_checkpoint,
    add_config,
    add_imports,
    add_launcher,
)
from mitouts.visualization.tables import localization_note, results_table, tissue_table


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config(parser)
    add_checkpoint(parser, 'checkpoint', help='checkpoint file, or a name out of the zoo')
    parser.add_argument('--work-dir', help='folder for logs and results.json (default: work_dirs/CONFIG_DATA/test)')
    parser.add_argument('--out', help='predictions to write, JSON')
    parser.add_argument('--show-dir', help='folder for one overlay an image')
    add_adapt_bn(parser, 'test images')
    add_cfg_options(parser)
    add_imports(parser)
    add_launcher(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mmengine.dist import is_main_process

    from mitouts.engine import runs
    from mitouts.engine.config import load_config
    from mitouts.engine.data_sets import run_name
    from mitouts.engine.launch import init_launcher

    init_launcher(args.launcher)
    work_dir = Path(args.work_dir or Path('work_dirs') / run_name(args.config, args.data) / 'test')
    config = load_config(args.config, args.cfg_options, args.data)
    tested = runs.evaluate(
        config,
        args.checkpoint,
        work_dir,
        launcher=args.launcher,
        out=args.out,
        show_dir=args.show_dir,
        adapt_bn=args.adapt_bn,
    )
    if is_main_process():
        row = {'stage': Path(args.checkpoint).stem, 'minutes': None, **tested.results, 'images': None}
        row['test_images'] = tested.results['images']
        write_json(work_dir / 'results.json', {'stages': [row]})
        Console().print(tissue_table(row['stage'], tested.results) if 'dice' in row else results_table([row]))
        note = localization_note([row])
        if note:
            Console().print(note)
