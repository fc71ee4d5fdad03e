"""Cut annotated images or slides into patches for training, normalize their stain, and write their annotations.

    mitouts prepare ann.json --image-root IMAGES --out data/midog21 --stain macenko

writes ``OUT/images/IMAGE/X_Y.png`` and ``OUT/train.json``, ``val.json``, ``test.json`` (``all.json`` without splits).
A figure is counted in one patch, the one in which it lies deepest. Other patches that show it have it with
``"iscrowd": 1``, and with ``"cut": true`` where its centre is outside; a patch with nothing but parts of figures is
neither positive nor negative, and no data set uses it. A killed run goes on with the same command.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mitouts.functional.tiling import EDGES
from mitouts.utils.arguments import Gather, add_image_root, add_imports, at_least, from_args, positive, share
from mitouts.utils.defaults import MEASURED_OVER
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.patches.prepare import Summary


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse_args(argv)

    from mitouts.patches.images import Options
    from mitouts.patches.prepare import prepare
    from mitouts.stain import build_normalizer

    options = from_args(
        Options,
        args,
        stride_px=args.stride_px or args.patch_px,
        level=args.level or 0,
        point_error_px=None if args.point_error_px is None else tuple(args.point_error_px),
    )
    normalizer = build_normalizer(args.stain, args.stain_reference)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (TextColumn('{task.description:>7}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console)
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            bar.start()
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done)

    try:
        summary = prepare(
            args.ann_file,
            args.image_root,
            args.out,
            options,
            normalizer,
            workers=args.workers,
            overwrite=args.overwrite,
            progress=show,
        )
    finally:
        if tasks:
            bar.stop()
    if summary is None:
        console.print(f'{args.out} is complete and was made with these arguments; nothing to do', markup=False)
        return 0
    report(console, summary, args.stain)
    return 0


def report(console: Console, summary: Summary, stain: str) -> None:
    """Print what was made, and what was left out."""
    console.print(f'{plural(summary.patches, "patch", "patches")} with {plural(summary.figures, "annotated figure")}')
    if summary.skipped:
        console.print(f'- skipped as background: {plural(summary.skipped, "patch", "patches")} without figures')
    if summary.unchanged:
        patches = plural(summary.unchanged, 'patch', 'patches')
        console.print(f'- {patches} could not be normalized by {stain}: nothing was changed')
    if summary.lost:
        console.print(
            f'- in no patch: {plural(summary.lost, "annotated figure")} (dropped edges, or outside their image)'
        )
    for path in summary.files.values():
        console.print(f'written to {path}', markup=False)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ann_file', type=Path, metavar='ANN.json', help='annotation file of whole images or slides')
    add_image_root(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where the patches go')
    parser.add_argument('--patch-px', type=at_least(16), default=500, help='side of a patch (default: 500)')
    parser.add_argument('--stride-px', type=at_least(1), help='from one patch to the next (default: --patch-px)')
    parser.add_argument(
        '--edges',
        choices=EDGES,
        default='cover',
        help="cover: a last patch, shifted inward; drop: as the authors' code, which loses the last row and column "
        '(default: cover)',
    )
    resolution = parser.add_mutually_exclusive_group()
    resolution.add_argument('--mpp', type=positive, help='micrometres per pixel to resample to (default: as they are)')
    resolution.add_argument('--level', type=at_least(0), help='level of slides to cut from (default: 0, the finest)')
    parser.add_argument(
        '--stain',
        default='none',
        metavar='METHOD',
        help='none, macenko, reinhard, vahadane, or a chain such as histogram+macenko (default: none)',
    )
    parser.add_argument(
        '--stain-reference',
        type=Path,
        metavar='IMG',
        help='image, or JSON of mitouts stain-reference, to normalize to (default: the one of the package)',
    )
    parser.add_argument(
        '--fit',
        choices=MEASURED_OVER,
        default='image',
        help='fit the stain once an image, as slides are counted, once a case (several images of a patient), or on '
        "each patch, as the authors' code does (default: image)",
    )
    parser.add_argument(
        '--min-tissue',
        type=share,
        default=0.0,
        metavar='SHARE',
        help='skip patches with less tissue than this that show no figure (default: 0, keep all)',
    )
    parser.add_argument(
        '--point-error-px',
        type=positive,
        nargs='+',
        action=Gather,
        metavar='PX',
        help='move the mitotic figures of training images at random: median length and, if not that of a Gaussian '
        'error (2.08 times as much), 95th percentile, in pixels of the images',
    )
    parser.add_argument(
        '--point-error-seed', type=at_least(0), default=0, metavar='SEED', help='seed of this error (default: 0)'
    )
    parser.add_argument(
        '--workers',
        type=at_least(1),
        default=os.cpu_count() or 1,
        help='processes; no effect on the result (default: all cores)',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace what was made with other arguments')
    add_imports(parser)
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.stride_px is not None and args.stride_px > args.patch_px:
        parser.error(f'--stride-px {args.stride_px} leaves gaps between patches of {args.patch_px} px')
    error_px = args.point_error_px
    if error_px is not None and (len(error_px) > 2 or sorted(set(error_px)) != error_px):
        found = ' '.join(f'{length:g}' for length in error_px)
        parser.error(f'--point-error-px takes a median and perhaps a larger 95th percentile, found {found}')
    return args
