"""Whole slides: the pipeline against the bare forward pass, the fast forward against the plain one, memory, glass.

    python tools/benchmarks/wsi.py --json

The slides are made of one synthetic tile of tissue and one of glass (JPEG, with a pyramid), so that their size costs
nothing. *Forward* is the network alone on a tile in memory, margins counted as its pixels; *pipeline* is everything
from opening the slide to its points, and counts the pixels of tissue only, margins left out. *Plain* is the model as it
was trained: contiguous float32, batch norms not folded. Weights are random, which costs the same.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import torch
from rich.console import Console
from rich.table import Table

from mitouts.inference import Localizer
from mitouts.inference.dense import DenseModel
from mitouts.models import WSSLocalizer
from mitouts.registry import MODELS
from mitouts.stain import build_normalizer
from mitouts.synthetic.phantom import PhantomConfig, make_field
from mitouts.utils.arguments import Gather
from mitouts.utils.cli import run
from mitouts.wsi.slide import SlideLocalizer, SlideOptions

TILE_PX = 512
MPP = 0.25
PLAIN_PX = 1024
BACKBONES = {
    'resnet18': dict(type='ResNet', depth=18, num_stages=3, weights=None),
    'lite0': dict(type='EfficientNetLite', stride=16, num_blocks=8, weights=None),
}


def main() -> None:
    """Run the benchmark."""
    args = parse_args()
    if args.one:
        print(json.dumps(ONE[args.one[0]](args, *args.one[1:])))
        return
    console = Console(stderr=True)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        tissue = write_slide(Path(folder) / 'tissue.tif', args.side_px, 1.0)
        glass = write_slide(Path(folder) / 'glass.tif', args.side_px, 0.05)
        huge = write_slide(Path(folder) / 'huge.tif', args.huge_px, 0.002)
        for name in args.models:
            forward = run_one(args, 'forward', name)
            whole = run_one(args, 'slide', name, str(tissue))
            sparse = run_one(args, 'slide', name, str(glass))
            large = run_one(args, 'slide', name, str(huge))
            results[name] = {
                **forward,
                'pipeline_mpix_per_s': whole['mpix_per_s'],
                'pipeline_over_forward': whole['mpix_per_s'] / forward['forward_mpix_per_s'],
                's_per_mm2': (1000 / MPP) ** 2 / 1e6 / whole['mpix_per_s'],
                'peak_mib': whole['peak_mib'],
                'glass_over_tissue_time': sparse['seconds'] / whole['seconds'],
                'huge_seconds': large['seconds'],
                'huge_peak_mib': large['peak_mib'],
            }
            console.print(f'{name} done')
    console.print(as_table(results, args))
    if args.json:
        print(json.dumps(results, indent=2))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--models', nargs='+', action=Gather, choices=BACKBONES, default=list(BACKBONES), help='default: all'
    )
    parser.add_argument('--side-px', type=int, default=12_288, help='side of the slide of tissue (default: 12288)')
    parser.add_argument('--huge-px', type=int, default=100_000, help='side of the huge slide (default: 100000)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    parser.add_argument('--half', action='store_true', help='float16, on a GPU')
    parser.add_argument('--workers', type=int, default=2, help='threads that read (default: 2)')
    parser.add_argument('--tile-px', type=int, help='side of a tile (default: what the memory allows)')
    parser.add_argument('--json', action='store_true', help='print the figures as JSON')
    parser.add_argument('--one', nargs='+', action=Gather, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_model(name: str) -> WSSLocalizer:
    """A model with random weights and a calibration that finds next to nothing."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='WSSLocalizer',
            backbone=BACKBONES[name],
            head=dict(type='InstanceHead', aggregator=dict(type='MaxAggregator')),
        )
    ).eval()
    normalizer = build_normalizer('macenko')
    assert normalizer is not None
    model.calibration = {
        'image_threshold': 0.999,
        'map_threshold': 0.999,
        'mpp': MPP,
        'stain_reference': normalizer.describe(),
    }
    return model


def forward(args: argparse.Namespace, name: str) -> dict[str, float]:
    """The network alone, as the pipeline runs it and as it was trained."""
    plain = make_model(name).to(args.device).to(memory_format=torch.contiguous_format)
    part = np.random.default_rng(0).integers(0, 256, (1, PLAIN_PX, PLAIN_PX, 3), dtype=np.uint8)
    inputs = torch.from_numpy(part.transpose(0, 3, 1, 2).copy()).to(args.device).float()
    inputs = (inputs - plain.data_preprocessor.mean) / plain.data_preprocessor.std

    @torch.inference_mode()
    def plain_map() -> np.ndarray:
        return torch.sigmoid(plain.head.classifier(plain.backbone(inputs)))[:, 0].cpu().numpy()

    # Before the fast model, which also makes the process keep its freed memory.
    plain_s = best_of(plain_map)
    dense = DenseModel(make_model(name).to(args.device), args.device, half=args.half)
    side = (args.tile_px or dense.best_tile_px()) + dense.margin.both * dense.geometry.stride
    tile = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    fast_s = best_of(lambda: dense(tile))
    difference = np.abs(plain_map() - dense(part)).max()
    fast, slow = side**2 / fast_s / 1e6, part.shape[1] * part.shape[2] / plain_s / 1e6
    return {
        'tile_px': float(side),
        'forward_mpix_per_s': fast,
        'plain_mpix_per_s': slow,
        'forward_over_plain': fast / slow,
        'max_difference': float(difference),
    }


def slide(args: argparse.Namespace, name: str, path: str) -> dict[str, float]:
    """The whole pipeline on a slide."""
    finder = SlideLocalizer(Localizer(make_model(name), args.device), half=args.half)
    options = SlideOptions(tile_px=args.tile_px, workers=args.workers, min_score=0.99)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = finder.find(path, folder, options=options)
        seconds = time.perf_counter() - start
    tissue = found.tissue.sum() * math.prod(found.cell_px) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {'seconds': seconds, 'mpix_per_s': float(tissue / seconds), 'peak_mib': peak}


ONE = {'forward': forward, 'slide': slide}


def run_one(args: argparse.Namespace, *what: str) -> dict[str, Any]:
    """One measurement in a process of its own, whose peak memory is its own."""
    command = [sys.executable, __file__, '--device', args.device, '--workers', str(args.workers)]
    command += ['--half'] if args.half else []
    command += ['--tile-px', str(args.tile_px)] if args.tile_px else []
    done = subprocess.run([*command, '--one', *what], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def best_of(call: Any, repeats: int = 3) -> float:
    """Shortest of some calls, after one to warm up, in seconds."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def write_slide(path: Path, side_px: int, tissue_share: float) -> Path:
    """Write a pyramid in which a square of the given share is tissue and the rest is glass."""
    field = make_field(PhantomConfig(size_px=TILE_PX), np.random.SeedSequence(0), positive=False).image
    glass = np.full_like(field, 243)
    levels = [side_px // factor for factor in (1, 4, 16) if side_px // factor >= TILE_PX] or [side_px]

    tissue_px = round(side_px * math.sqrt(tissue_share) / TILE_PX) * TILE_PX

    @functools.cache
    def encode(width: int, height: int) -> bytes:
        tile = glass.copy()
        tile[:height, :width] = field[:height, :width]
        return imagecodecs.jpeg_encode(tile, level=90)

    def tiles(level_px: int) -> Iterator[bytes]:
        inside = round(tissue_px * level_px / side_px)
        for top in range(0, level_px, TILE_PX):
            for left in range(0, level_px, TILE_PX):
                width, height = (min(max(inside - begin, 0), TILE_PX) for begin in (left, top))
                yield encode(width, height) if width and height else encode(0, 0)

    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for number, level_px in enumerate(levels):
            tif.write(
                tiles(level_px),
                shape=(level_px, level_px, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric='rgb',
                compression='jpeg',
                subfiletype=1 if number else 0,
                resolution=(1e4 / MPP / 4**number,) * 2,
                resolutionunit='CENTIMETER',
            )
    return path


def as_table(results: dict[str, dict[str, float]], args: argparse.Namespace) -> Table:
    """A column for each model."""
    table = Table(title=f'{args.device}, {torch.get_num_threads()} threads, slide of {args.side_px} px a side')
    table.add_column('')
    for name in results:
        table.add_column(name, justify='right')
    for key in next(iter(results.values())):
        table.add_row(key, *(f'{result[key]:.4g}' for result in results.values()))
    return table


if __name__ == '__main__':
    run(main)
