"""Time of Macenko normalization (fit and application) on one core: ours, torchstain's and staintools'.

    python tools/benchmarks/stain.py ../shared/data/AMi-Br
    python tools/benchmarks/stain.py --json

All of them normalize the same patches to the same reference, one after the other in every round, so that whatever else
the machine does falls on all; times are medians of single calls. ``mean_abs_diff`` is the mean absolute difference in
grey levels between our patches and those of torchstain's torch backend. Patches are mosaics of 16 AMi-Br crops of one
slide where their folder is given, else drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Before NumPy and spams load their libraries, which read it once.
os.environ['OMP_NUM_THREADS'] = os.environ['OPENBLAS_NUM_THREADS'] = os.environ['MKL_NUM_THREADS'] = '1'

import cv2
import numpy as np
import staintools
import torch
import torchstain
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mitouts.converters import amibr
from mitouts.errors import MitoutsError
from mitouts.functional.stain import HED_RUIFROK, StainFit, apply_stain_fit, fit_macenko
from mitouts.utils.arguments import at_least
from mitouts.utils.cli import run

Image = NDArray[np.uint8]
MOSAIC_CROPS = 4


def main() -> int:
    """Run the benchmark."""
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    patches = mosaics(args.amibr, args.patch_px) if args.amibr else drawn_patches(args.patch_px)
    patches = patches[: args.patches + 1]
    results = measure(patches[0], patches[1:], args.rounds)
    results |= {'patches': len(patches) - 1, 'patch_px': args.patch_px, 'source': 'AMi-Br' if args.amibr else 'drawn'}
    if args.json:
        print(json.dumps(results))
    else:
        Console().print(_table(results))
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('amibr', type=Path, nargs='?', metavar='AMI-BR', help='the AMi-Br folder')
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    parser.add_argument('--rounds', type=at_least(1), default=5, help='times each patch is normalized (default: 5)')
    parser.add_argument('--patches', type=at_least(1), default=12, help='patches at most (default: 12)')
    parser.add_argument('--patch-px', type=at_least(32), default=500, help='side of a patch (default: 500)')
    return parser.parse_args()


def mosaics(root: Path, side_px: int) -> list[Image]:
    """Mosaics ``(side_px, side_px, 3)`` of 4 x 4 crops, one a slide, repeated if that is too small."""
    crops: dict[str, list[Image]] = defaultdict(list)
    for figure in amibr.read_amibr(root):
        crop = amibr.read_crop(figure)
        if not amibr.has_padding(crop):
            crops[figure.slide].append(crop)
    repeats = -(-side_px // (MOSAIC_CROPS * amibr.CROP_PX))
    found = []
    for slide in sorted(crops):
        if len(crops[slide]) >= MOSAIC_CROPS**2:
            rows = [np.hstack(crops[slide][i * MOSAIC_CROPS : (i + 1) * MOSAIC_CROPS]) for i in range(MOSAIC_CROPS)]
            mosaic = np.tile(np.vstack(rows), (repeats, repeats, 1))
            found.append(np.ascontiguousarray(mosaic[:side_px, :side_px]))
    if len(found) < 2:
        raise MitoutsError(f'{root}: expected two slides with {MOSAIC_CROPS**2} crops each, found {len(found)}')
    return found


def drawn_patches(side_px: int, number: int = 13) -> list[Image]:
    """Nuclei in cytoplasm and glass, mixed from haematoxylin and eosin that differ a little between patches."""
    patches = []
    for seed in range(number):
        generator = np.random.default_rng(seed)
        coarse, middle, fine = (_noise(generator, side_px, scale_px) for scale_px in (60, 12, 2))
        nuclei = np.clip(4 * (middle - 0.7), 0, 1) * (1.2 + 0.8 * fine)
        cytoplasm = np.clip(2 * (coarse + 0.8), 0, 1) * (0.5 + 0.2 * middle.clip(-1, 1) + 0.2 * fine.clip(-1, 1))
        stains = HED_RUIFROK[:2] + generator.uniform(-0.05, 0.05, (2, 3))
        density = nuclei[..., None] * stains[0] + cytoplasm.clip(0)[..., None] * stains[1]
        level = 242 * np.exp(-density) + generator.normal(0, 2, density.shape)
        patches.append(np.clip(np.rint(level), 0, 255).astype(np.uint8))
    return patches


def measure(reference: Image, patches: Sequence[Image], rounds: int) -> dict[str, Any]:
    """Normalize every patch in every round with each library.

    Args:
        reference: What they are normalized to.
        patches: Arrays ``(H, W, 3)``.
        rounds: How often.

    Returns:
        Median milliseconds of each, ratios of them, and the difference from torchstain.
    """
    normalizers = {
        'mitouts': _mitouts(reference),
        'mitouts_apply': _mitouts_apply(reference),
        'torchstain': _torchstain(reference),
        'staintools': _staintools(reference),
    }
    times: dict[str, list[float]] = {name: [] for name in normalizers}
    differences = []
    for number in range(rounds):
        for patch in patches:
            made = {}
            for name, normalize in normalizers.items():
                start = time.perf_counter()
                made[name] = normalize(patch)
                times[name].append(1000 * (time.perf_counter() - start))
            if number == 0:
                differences.append(float(np.abs(made['mitouts'].astype(int) - made['torchstain']).mean()))
    medians = {f'{name}_ms': round(float(np.median(values)), 3) for name, values in times.items()}
    return {
        **medians,
        'mitouts_min_ms': round(min(times['mitouts']), 3),
        'torchstain_ratio': round(medians['torchstain_ms'] / medians['mitouts_ms'], 1),
        'staintools_ratio': round(medians['staintools_ms'] / medians['mitouts_ms'], 1),
        'mean_abs_diff': round(float(np.mean(differences)), 4),
        'max_abs_diff': round(max(differences), 4),
    }


def _mitouts(reference: Image) -> Callable[[Image], Image]:
    wanted = _fit(reference)
    return lambda patch: apply_stain_fit(patch, _fit(patch), wanted)


def _mitouts_apply(reference: Image) -> Callable[[Image], Image]:
    """A slide's fit, applied to each patch."""
    fit = _fit(reference)
    return lambda patch: apply_stain_fit(patch, fit, fit)


def _fit(image: Image) -> StainFit:
    fit = fit_macenko(image)
    if fit is None:
        raise MitoutsError('a patch has no two stains that could be told apart: take larger patches or other crops')
    return fit


def _torchstain(reference: Image) -> Callable[[Image], Image]:
    normalizer = torchstain.normalizers.MacenkoNormalizer(backend='torch')
    normalizer.fit(torch.from_numpy(reference).permute(2, 0, 1))

    def normalize(patch: Image) -> Image:
        return normalizer.normalize(torch.from_numpy(patch).permute(2, 0, 1), stains=False)[0].numpy()

    return normalize


def _staintools(reference: Image) -> Callable[[Image], Image]:
    normalizer = staintools.StainNormalizer(method='macenko')
    # It writes into the images that it is given.
    normalizer.fit(reference.copy())
    return lambda patch: normalizer.transform(patch.copy())


def _noise(generator: np.random.Generator, side_px: int, scale_px: int) -> NDArray[np.float64]:
    """Smooth noise ``(side_px, side_px)`` of mean 0 and deviation 1."""
    noise = cv2.GaussianBlur(generator.normal(size=(side_px, side_px)), (0, 0), scale_px / 2)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float64)


def _table(results: dict[str, Any]) -> Table:
    table = Table(
        title=f'Macenko on {results["patches"]} patches of {results["patch_px"]} px ({results["source"]}), one core'
    )
    for column in ('', 'median', 'mitouts is faster by', 'mean difference (grey levels)'):
        table.add_column(column, justify='right' if column else 'left')
    table.add_row('mitouts', f'{results["mitouts_ms"]:.2f} ms', '', '')
    table.add_row('mitouts, with a fit of the slide', f'{results["mitouts_apply_ms"]:.2f} ms', '', '')
    difference = f'{results["mean_abs_diff"]:.3f} (worst patch {results["max_abs_diff"]:.3f})'
    table.add_row(
        'torchstain (torch)', f'{results["torchstain_ms"]:.1f} ms', f'{results["torchstain_ratio"]:.1f}', difference
    )
    table.add_row('staintools', f'{results["staintools_ms"]:.1f} ms', f'{results["staintools_ratio"]:.1f}', '')
    return table


if __name__ == '__main__':
    run(main)
