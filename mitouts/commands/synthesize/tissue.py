"""Make a phantom of tissue regions: synthetic H&E fields with label images, laid out as BCSS is.

    python tools/dataset_converters/phantom_tissue.py --out data/phantom_tissue

writes ``OUT/images/CASE_NNN.png``, ``OUT/masks/CASE_NNN.png`` (codes of BCSS) and ``OUT/splits.csv``. Running it again
with the same arguments does nothing; other arguments need ``--overwrite``.
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json, write_json
from mitouts.formats.provenance import check_arguments
from mitouts.imaging.image import write_rgb
from mitouts.imaging.label_image import write_labels
from mitouts.synthetic.phantom import SCANNERS, PhantomCase, PhantomConfig, draw_case
from mitouts.synthetic.phantom.regions import make_region_field
from mitouts.utils.arguments import at_least, positive
from mitouts.utils.cli import run
from mitouts.utils.words import plural

TOOL = 'phantom_tissue'
SPLITS = ('train', 'val', 'test')
CASES_PER_SPLIT = {'train': 8, 'val': 4, 'test': 4}
RECORD = 'made_by.json'
_CASE_STREAM, _FIELD_STREAM = range(2)


@dataclass(frozen=True)
class Draw:
    """What is decided about a field before it is rendered."""

    name: str
    split: str
    case_id: str
    case: PhantomCase
    seed: np.random.SeedSequence


def main() -> int:
    """Run the tool."""
    args = parse_args()
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


def parse_args() -> argparse.Namespace:
    """Read the command line."""
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
    return parser.parse_args()


def plan(counts: dict[str, int], seed: int) -> list[Draw]:
    """Plan all fields: cases take turns, no case stands in two splits, every field has a seed of its own."""
    draws, number = [], 0
    for split_number, split in enumerate(SPLITS):
        cases = []
        for _ in range(CASES_PER_SPLIT[split]):
            scanner = list(SCANNERS)[number % len(SCANNERS)]
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_CASE_STREAM, number)))
            cases.append((f'case_{number:02d}', draw_case(PhantomConfig(), generator, scanner)))
            number += 1
        for index in range(counts[split]):
            case_id, case = cases[index % len(cases)]
            field_seed = np.random.SeedSequence(seed, spawn_key=(_FIELD_STREAM, split_number, index))
            draws.append(Draw(f'{case_id}_{index:03d}', split, case_id, case, field_seed))
    return draws


def write_field(job: tuple[Path, int, float, Draw]) -> None:
    """Render one field into its two files."""
    root, size_px, mpp, draw = job
    field = make_region_field(size_px, mpp, draw.case, np.random.default_rng(draw.seed))
    write_rgb(root / 'images' / f'{draw.name}.png', field.image)
    write_labels(root / 'masks' / f'{draw.name}.png', field.codes)


def splits_csv(draws: list[Draw]) -> str:
    """Case and split, one line a case."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(['case_id', 'split'])
    writer.writerows(dict.fromkeys((draw.case_id, draw.split) for draw in draws))
    return buffer.getvalue()


def is_complete(out: Path, draws: list[Draw], stamp: dict[str, Any], *, overwrite: bool) -> bool:
    """Whether there is nothing to do.

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
    """Remove what an earlier run left; the record goes first, so that half a phantom never looks complete."""
    for path in (out / RECORD, out / 'splits.csv'):
        path.unlink(missing_ok=True)
    for folder in ('images', 'masks'):
        for path in (out / folder).glob('case_*.png'):
            path.unlink()


def _only_ours(out: Path) -> bool:
    """An interrupted run leaves no record, but nothing else either."""
    return all(path.name.startswith(('case_', '.case_')) for path in (out / 'images').iterdir())


if __name__ == '__main__':
    run(main)
