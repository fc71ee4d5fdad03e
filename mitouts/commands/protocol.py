"""Count a cohort by a protocol of configs/mai and correlate it with its reference: all steps with one command.

    mitouts protocol configs/mai/ccmct_mel.py --out work_dirs/ccmct_mel
    mitouts protocol configs/mai/suh.py --out work_dirs/suh --resume \\
        --cfg-options count.slides=cohort.csv count.checkpoint=best.pth count.tissue=tissue.pth

OUT gets counts/ (a folder a slide, counts.csv), reference.csv where the protocol has a reference region, agreement.json
and .png, and protocol.json with the results of all steps. Under torchrun the processes share the slides out and stop
when these are counted; the same command without torchrun, with --resume, does the rest. Exit code 1: a slide failed.
For research use only.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mitouts.formats.coco import write_json
from mitouts.utils.arguments import add_cfg_options, add_imports, at_least, offer
from mitouts.utils.config_files import config_names

FORWARDED = ('device', 'half', 'workers', 'batch', 'tile_px')
RESULT_NAME = 'protocol.json'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    warnings.filterwarnings('ignore', message='.*MultiScaleDeformableAttention.*')

    from mitouts.commands.correlate import correlate
    from mitouts.commands.count import count_slides
    from mitouts.commands.reference_hotspots import count_references
    from mitouts.engine.config import load_config
    from mitouts.wsi.processes import process_of
    from mitouts.wsi.protocol import plan, read_protocol
    from mitouts.wsi.protocol_results import gather_results, in_words

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    config = load_config(args.config, args.cfg_options)
    protocol = read_protocol(config)
    given = {key: getattr(args, key) for key in FORWARDED}
    steps = plan(protocol, args.out, given, resume=args.resume)
    is_shared = process_of(os.environ)[1] > 1
    codes = [_run(console, count_slides, 'count', steps.count)]
    # What an earlier run found is no result of this one.
    (args.out / RESULT_NAME).unlink(missing_ok=True)
    if not is_shared:
        if steps.reference is not None:
            codes.append(_run(console, count_references, 'reference', steps.reference))
        codes.append(_run(console, correlate, 'correlate', steps.correlate))
    if is_shared:
        console.print('counted; the same command without torchrun, with --resume, does the rest')
        return max(codes)
    result = gather_results(args.config, protocol, args.out, steps)
    write_json(args.out / RESULT_NAME, result)
    if 'paper' in protocol:
        console.print(f'the paper: {in_words(protocol["paper"])}', markup=False)
    console.print(f'written to {args.out / RESULT_NAME}', markup=False)
    return max(codes)


def _run(console: Console, step: Callable[[Any], int], name: str, arguments: Any) -> int:
    """Print the arguments of a step and run it; its errors are raised."""
    from mitouts.wsi.protocol_results import texts

    said = (f'{key}={value}' for key, value in texts(arguments).items())
    console.print(f'{name}: {" ".join(said)}', markup=False)
    return step(arguments)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    config = parser.add_argument('config', type=Path, metavar='CONFIG', help='a protocol, such as mai/suh')
    offer(config, lambda: [name for name in config_names() if name.startswith('mai/')])
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='results of all steps')
    parser.add_argument('--resume', action='store_true', help='leave finished slides alone, go on with the others')
    add_cfg_options(parser, 'overrides, such as count.checkpoint=best.pth')
    add_imports(parser)
    counting = parser.add_argument_group('options of mitouts count; they do not change the counts')
    counting.add_argument('--device', help='cpu or cuda')
    counting.add_argument('--half', action='store_true', default=None, help='float16, on a GPU')
    counting.add_argument('--workers', type=at_least(1), help='threads that read tiles')
    counting.add_argument('--batch', type=at_least(1), help='tiles that go through the network together')
    counting.add_argument('--tile-px', type=at_least(64), help='side of a tile')
    return parser
