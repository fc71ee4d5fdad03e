"""Time and memory of one-to-one matching against the plain way: a full distance matrix and SciPy's assignment an image.

    python tools/benchmarks/bench_matching.py

Both ways run in the same process, one after the other; what counts is their ratio. The last lines match single slides
whose points form one connected component; there the full matrix is only sized up, not made.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mitouts.functional.matching import count_images, match_one_to_one
from mitouts.utils.cli import run

RADIUS_PX = 30.0
FloatArray = NDArray[np.float64]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--hundreds',
        type=int,
        default=10_000,
        help='hundreds of points on each side of the first table (default: 10000)',
    )
    parser.add_argument('--slide-points', type=int, default=100_000, help='points of a slide (default: 100000)')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    generator = np.random.default_rng(args.seed)
    console = Console()
    console.print(_images_table(generator, args.hundreds))
    console.print(_slides_table(generator, args.slide_points))


def plain_counts(preds: list[FloatArray], truths: list[FloatArray]) -> int:
    """Count the true positives with a full matrix for each image."""
    tp = 0
    for pred, truth in zip(preds, truths):
        distance = cdist(pred, truth)
        rows, cols = linear_sum_assignment(np.where(distance <= RADIUS_PX, distance, 1e6))
        tp += int((distance[rows, cols] <= RADIUS_PX).sum())
    return tp


def _images_table(generator: np.random.Generator, hundreds: int) -> Table:
    table = Table(title=f'{hundreds * 100} predictions and as many annotations, radius {RADIUS_PX:g} px')
    for column in ('images', 'points each', 'image side', 'TP', 'ours', 'plain', 'plain / ours'):
        table.add_column(column, justify='right')
    for points, side in ((2, 256), (100, 2000), (100, 500), (100, 256), (2000, 4000), (2000, 1500)):
        number = max(1, hundreds * 100 // points)
        preds = [generator.random((points, 2)) * side for _ in range(number)]
        truths = [generator.random((points, 2)) * side for _ in range(number)]
        ours_s, counts = _timed(count_images, preds, truths, RADIUS_PX, protocol='one_to_one')
        plain_s, tp = _timed(plain_counts, preds, truths)
        assert int(counts[:, 0].sum()) == tp, 'the two ways disagree'
        times = f'{ours_s:.2f} s', f'{plain_s:.2f} s', f'{plain_s / ours_s:.1f}'
        table.add_row(str(number), str(points), f'{side} px', str(tp), *times)
    return table


def _slides_table(generator: np.random.Generator, num_points: int) -> Table:
    table = Table(title=f'One slide, {num_points} predictions and {num_points} annotations, radius {RADIUS_PX:g} px')
    for column in ('neighbours of a point', 'TP', 'ours', 'peak', 'full matrix', 'full matrix / peak'):
        table.add_column(column, justify='right')
    for neighbours in (1, 5, 10):
        side = np.sqrt(num_points * np.pi * RADIUS_PX**2 / neighbours)
        pred, truth = generator.random((num_points, 2)) * side, generator.random((num_points, 2)) * side
        ours_s, matches = _timed(match_one_to_one, pred, truth, RADIUS_PX)
        tracemalloc.start()
        match_one_to_one(pred, truth, RADIUS_PX)
        peak_mb = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        matrix_mb = 8 * num_points**2 / 2**20
        memory = f'{peak_mb:.0f} MiB', f'{matrix_mb:.0f} MiB', f'{matrix_mb / peak_mb:.0f}'
        table.add_row(str(neighbours), str(len(matches.pred_index)), f'{ours_s:.2f} s', *memory)
    return table


def _timed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


if __name__ == '__main__':
    run(main)
