"""Make a phantom of tissue regions: synthetic H&E fields with label images, laid out as BCSS is.

    mitouts synthesize tissue --out data/phantom_tissue

writes ``OUT/images/CASE_NNN.png``, ``OUT/masks/CASE_NNN.png`` (codes of BCSS) and ``OUT/splits.csv``. Running it again
with the same arguments does nothing; other arguments need ``--overwrite``.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json, write_json
from mitouts.formats.provenance import check_arguments
from mitouts.utils.arguments import at_least, positive
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.synthetic.phantom.tissue_writer import Draw

TOOL = 'phantom_tissue'
RECORD = 'made_by.json'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    import cv2

    from mitouts.synthetic.phantom.tissue_writer import SPLITS, plan, splits_csv, write_field

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    draws = plan({split: getattr(args, f'num_{split}') for split in SPLITS}, args.seed)
    stamp = {
        'tool': TOOL,
        'fields': len(draws),
        **{key: getattr(args, key) for key in ('num_train', 'num_val', 'num_test', 'size_px', 'mpp', 'seed')},
    }
    if is_complete(args.out, draws, stamp, overwrite=args.overwrite):
        console.print(f'{args.out} is complete and was made with these arguments; nothing to do')
        return 0
    forget(args.out)
    jobs = [(args.out, args.size_px, args.mpp, draw) for draw in draws]
    if args.workers == 1:
        for job in track(jobs, description='fields', console=console):
            write_field(job)
    else:
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(args.workers, context, cv2.setNumThreads, (1,)) as pool:
            for _ in track(pool.map(write_field, jobs), 'fields', total=len(jobs), console=console):
                pass
    (args.out / 'splits.csv').write_text(splits_csv(draws))
    write_json(args.out / RECORD, stamp)
    console.print(f'{plural(len(draws), "field")} written to {args.out}')
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where the data set goes')
    parser.add_argument('--num-train', type=at_least(1), default=48, help='training fields (default: 48)')
    parser.add_argument('--num-val', type=at_least(1), default=16, help='validation fields (default: 16)')
    parser.add_argument('--num-test', type=at_least(1), default=24, help='test fields (default: 24)')
    parser.add_argument('--size-px', type=at_least(64), default=512, help='side of a field (default: 512)')
    parser.add_argument('--mpp', type=positive, default=0.5, help='micrometres per pixel (default: 0.5)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='everything is drawn from it (default: 0)')
    parser.add_argument(
        '--workers', type=at_least(1), default=2, help='processes; no effect on the result (default: 2)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a phantom made with other arguments')
    return parser


def is_complete(out: Path, draws: list[Draw], stamp: dict[str, Any], *, overwrite: bool) -> bool:
    """Whether the phantom is complete, so that nothing is left to do.

    Raises:
        AnnotationError: The folder holds something else, or a phantom made with other arguments.
    """
    if not out.exists() or not any(out.iterdir()):
        return False
    record = out / RECORD
    found = read_json(record) if record.is_file() else {}
    if found.get('tool') != TOOL and (out / 'images').exists() and not _only_ours(out):
        raise AnnotationError(f'{out} was not made by {TOOL} and is not touched; choose another --out')
    return bool(
        found
        and check_arguments(out, found, stamp, overwrite=overwrite)
        and all((out / folder / f'{draw.name}.png').is_file() for draw in draws for folder in ('images', 'masks'))
    )


def forget(out: Path) -> None:
    """Remove an earlier run's files, the record first, so that half a phantom never looks complete."""
    for path in (out / RECORD, out / 'splits.csv'):
        path.unlink(missing_ok=True)
    for folder in ('images', 'masks'):
        for path in (out / folder).glob('case_*.png'):
            path.unlink()


def _only_ours(out: Path) -> bool:
    """Whether the folder holds nothing but images of an interrupted run, which leaves no record."""
    return all(path.name.startswith(('case_', '.case_')) for path in (out / 'images').iterdir())
