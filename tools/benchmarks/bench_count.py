"""mitouts count as a whole process, against the same model over plain tiles: seconds, CPU seconds and figures.

    python tools/benchmarks/bench_count.py slide.tif best.pth --mpp 0.2274

*count* is `mitouts count` from its start to its end: imports, model, slide, files and picture. *plain* is the script
that a user would write: open the slide, cut it into tiles with an overlap, give each to `Localizer.predict`; a point
belongs to the tile in which it lies deepest. It writes nothing. Each runs in a process of its own; the least of some
runs is shown. CPU seconds are those of all threads, user and system, and depend less on what else the machine does.
Points near the threshold may differ: the plain script measures the stain on each tile, the count on the whole slide.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mitouts.utils.cli import run

OVERLAP_PX = 128


def main() -> None:
    """Run the benchmark."""
    args = parse_args()
    if args.one:
        print(plain(args))
        return
    with tempfile.TemporaryDirectory() as folder:
        shared = ['--mpp', str(args.mpp)] if args.mpp else []
        rotations = ['--rotations', str(args.rotations)] if args.rotations else []
        here = [str(args.slide), str(args.checkpoint), *shared, *rotations]
        figures = Path(folder) / 'plain.txt'
        rows = {'count': [], 'plain': []}
        for number in range(args.repeats):
            out = Path(folder) / str(number)
            rows['count'].append(measure([sys.executable, '-m', 'mitouts', 'count', *here, '--out', str(out)]))
            tile = ['--tile-px', str(args.tile_px), '--one']
            rows['plain'].append(measure([sys.executable, __file__, *here, *tile], stdout=figures))
        (report,) = out.glob('*/report.json')
        found = {
            'count': json.loads(report.read_text())['counts']['figures'],
            'plain': int(figures.read_text()),
        }
    best = {name: [min(column) for column in zip(*times)] for name, times in rows.items()}
    ratios = [count / other for count, other in zip(best['count'], best['plain'])]
    table = Table(title=f'{args.slide.name}, least of {args.repeats}')
    for name in ('', 'seconds', 'CPU seconds', 'figures'):
        table.add_column(name, justify='right')
    for name, values in best.items():
        table.add_row(name, *(f'{value:.2f}' for value in values), str(found[name]))
    table.add_row('count / plain', *(f'{ratio:.2f}' for ratio in ratios), '')
    Console(stderr=True).print(table)
    if args.json:
        print(json.dumps({'best': best, 'ratios': ratios, 'figures': found}, indent=2))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('slide', type=Path, help='a slide, or an area of about 2 mm2')
    parser.add_argument('checkpoint', type=Path, help='model with thresholds')
    parser.add_argument('--mpp', type=float, help='um per pixel of level 0, where the slide does not say it')
    parser.add_argument('--rotations', type=int, help='1 or 4, for both')
    parser.add_argument('--tile-px', type=int, default=1024, help='side of a plain tile (default: 1024)')
    parser.add_argument('--repeats', type=int, default=3, help='runs of each (default: 3)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    parser.add_argument('--one', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(command: list[str], stdout: Path | None = None) -> tuple[float, float]:
    """Run a command; returns its seconds and those of its CPU time."""
    with Path(stdout or os.devnull).open('w') as out, Path(os.devnull).open('w') as nowhere:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)]
        start = time.perf_counter()
        process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f'failed: {" ".join(command)}')
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def plain(args: argparse.Namespace) -> int:
    """Predict tile by tile; returns the number of figures."""
    import numpy as np

    from mitouts.evaluation.slide_threshold import slide_threshold_of
    from mitouts.functional.tiling import owning_tile, tile_starts
    from mitouts.imaging import open_slide
    from mitouts.inference import Localizer

    localizer = Localizer.from_checkpoint(args.checkpoint, rotations=args.rotations)
    threshold, found = slide_threshold_of(localizer.model.calibration).value, 0
    with open_slide(args.slide, mpp=args.mpp) as reader:
        starts = [tile_starts(size, args.tile_px, args.tile_px - OVERLAP_PX) for size in reader.dimensions]
        for column, x in enumerate(starts[0].tolist()):
            for row, y in enumerate(starts[1].tolist()):
                width, height = (min(args.tile_px, size - begin) for size, begin in zip(reader.dimensions, (x, y)))
                image = np.ascontiguousarray(reader.read_region((x, y), 0, (width, height)))
                points = localizer.predict(image, reader.mpp).above(threshold)
                owners = [
                    owning_tile(points[:, axis] + begin, starts[axis], args.tile_px)
                    for axis, begin in enumerate((x, y))
                ]
                found += int(((owners[0] == column) & (owners[1] == row)).sum())
    return found


if __name__ == '__main__':
    run(main)
