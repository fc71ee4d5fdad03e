"""Speed and memory of tools/prepare_patches.py with Macenko and PNG, beside the script one would write.

    python tools/benchmarks/bench_patches.py --workers 2

The image is synthetic H&E in an uncompressed, tiled TIFF that fits into memory. The plain script reads it whole with
tifffile, normalizes each patch with torchstain (torch) and writes it with OpenCV, in one process. The peak memory is
that of the largest process; it is measured for an image of the same width and four times the height as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mitouts.formats.coco import make_document, make_image, write_json
from mitouts.synthetic.phantom import PhantomConfig, make_field
from mitouts.utils.cli import run

REPOSITORY = Path(__file__).resolve().parents[2]
PATCH_PX = 500

PLAIN_SCRIPT = """
import sys, cv2, tifffile, torch, torchstain
from pathlib import Path
torch.set_num_threads(1)
image, out = tifffile.imread(sys.argv[1]), Path(sys.argv[2])
out.mkdir(parents=True)
to_tensor = lambda array: torch.from_numpy(array.copy()).permute(2, 0, 1)
normalizer = torchstain.normalizers.MacenkoNormalizer(backend='torch')
normalizer.fit(to_tensor(image[:500, :500]))
for y in range(0, image.shape[0] - 499, 500):
    for x in range(0, image.shape[1] - 499, 500):
        patch, _, _ = normalizer.normalize(I=to_tensor(image[y:y + 500, x:x + 500]), stains=False)
        cv2.imwrite(str(out / f'{x}_{y}.png'), patch.numpy().astype('uint8')[..., ::-1])
"""


def main() -> None:
    """Run the benchmark."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wide = write_image(Path(folder) / 'image', args.width_px, args.height_px)
        tall = write_image(Path(folder) / 'tall', args.width_px, 4 * args.height_px)
        rows = {
            f'prepare_patches, {args.workers} processes': ours(wide, args.workers, args.fit),
            'prepare_patches, 1 process': ours(wide, 1, args.fit),
            f'prepare_patches, {args.workers} processes, 4 times the height': ours(tall, args.workers, args.fit),
            'plain script, 1 process': measure(
                [sys.executable, '-c', PLAIN_SCRIPT, str(wide.with_name('image.tif')), str(wide.parent / 'plain')],
                args.width_px // PATCH_PX * (args.height_px // PATCH_PX),
            ),
        }
    size = f'{args.width_px} x {args.height_px} px, {3 * args.width_px * args.height_px / 2**20:.0f} MiB'
    table = Table('', 'patches/s', 'peak memory, MiB', title=f'{size}, Macenko fitted per {args.fit}, start included')
    for name, row in rows.items():
        table.add_row(name, f'{row["patches_per_s"]:.1f}', f'{row["peak_mib"]:.0f}')
    console = Console(stderr=True)
    console.print(table)
    best, single, _, plain = rows.values()
    ratios = best['patches_per_s'] / plain['patches_per_s'], single['patches_per_s'] / plain['patches_per_s']
    console.print(f'{ratios[0]:.1f} times the plain script, {ratios[1]:.1f} times with one process')
    if args.json:
        print(json.dumps(rows, indent=2))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--width-px', type=int, default=16_000, help='width of the image (default: 16000)')
    parser.add_argument('--height-px', type=int, default=8_000, help='height of the image (default: 8000)')
    parser.add_argument('--fit', choices=('image', 'patch'), default='patch', help='stain fit (default: patch)')
    parser.add_argument('--workers', type=int, default=2, help='processes (default: 2)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    return parser.parse_args()


def write_image(folder: Path, width: int, height: int) -> Path:
    """Write a synthetic image and its annotation file, and return the latter."""
    folder.mkdir()
    field = make_field(PhantomConfig(size_px=1024), np.random.SeedSequence(0), positive=True).image

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for y in range(0, height, 256):
            for x in range(0, width, 256):
                yield field[y % 1024 : y % 1024 + 256, x % 1024 : x % 1024 + 256]

    tifffile.imwrite(
        folder / 'image.tif', tiles(), shape=(height, width, 3), dtype=np.uint8, tile=(256, 256), photometric='rgb'
    )
    images = [make_image(1, 'image.tif', width, height, case_id='A', mpp=0.25)]
    write_json(folder / 'ann.json', make_document(images, [], name='benchmark', tool='bench_patches'))
    return folder / 'ann.json'


def ours(ann_file: Path, workers: int, fit: str) -> dict[str, float]:
    """Run the tool."""
    out = Path(tempfile.mkdtemp(dir=ann_file.parent)) / 'out'
    tool = REPOSITORY / 'tools' / 'prepare_patches.py'
    options = ['--stain', 'macenko', '--fit', fit, '--patch-px', str(PATCH_PX), '--workers', str(workers)]
    row = measure([sys.executable, str(tool), str(ann_file), '--out', str(out), *options], 0)
    patches = len(list(out.rglob('*.png')))
    return {**row, 'patches_per_s': patches / row['seconds']}


def measure(command: list[str], patches: int) -> dict[str, float]:
    """Run a command by itself, so that its peak memory is not another one's."""
    watch = (
        'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); '
        'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, '-c', watch, *command], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return {'seconds': seconds, 'patches_per_s': patches / seconds, 'peak_mib': int(done.stdout) / 1024}


if __name__ == '__main__':
    run(main)
