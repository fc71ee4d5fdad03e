"""Phantom fields per second on one core, with and without writing them as PNG.

python tools/benchmarks/bench_phantom.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from mitouts.imaging.image import write_rgb
from mitouts.synthetic.phantom import PhantomConfig, make_field
from mitouts.utils.cli import run


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--num', type=int, default=200, help='fields (default: 200)')
    parser.add_argument('--size-px', type=int, default=256, help='side of a field (default: 256)')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    config = PhantomConfig(size_px=args.size_px)
    start = time.process_time()
    make_field(config, np.random.SeedSequence(0), positive=True)
    first_s = time.process_time() - start
    render_s = write_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for index in range(args.num):
            start = time.process_time()
            field = make_field(config, np.random.SeedSequence(index), positive=index % 2 == 0)
            rendered = time.process_time()
            write_rgb(Path(folder) / 'field.png', field.image)
            render_s += rendered - start
            write_s += time.process_time() - rendered
    table = Table('step', 'ms a field', 'fields a second', title=f'{args.num} fields of {args.size_px} px, CPU time')
    for step, seconds in (('render', render_s), ('render and write PNG', render_s + write_s)):
        table.add_row(step, f'{1000 * seconds / args.num:.1f}', f'{args.num / seconds:.1f}')
    console = Console()
    console.print(table)
    console.print(f'the first field, with the texture bank: {first_s:.2f} s')


if __name__ == '__main__':
    run(main)
