"""Make a stain reference: the numbers that images are normalized to, from well-stained images.

    mitouts stain-reference 67/01.tif --out tupac16_67_01.json --name "TUPAC16 67/01.tif"
    mitouts prepare ann.json ... --stain macenko --stain-reference tupac16_67_01.json

The file holds numbers only, for every method (stain matrices, maxima, Lab moments, grey-level quantiles). Pixels of
several images are pooled. Choose fields with both stains, little glass, no pen and no fold; a field full of mitotic
figures makes haematoxylin's maximum too high. An image or a slide of more than 100 megapixels is read shrunk.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mitouts import __version__
from mitouts.errors import MitoutsError
from mitouts.formats.coco import write_json
from mitouts.utils.arguments import add_imports

if TYPE_CHECKING:
    from mitouts.stain import Reference

WHOLE_PX = 100_000_000
SHRUNK_SIDE_PX = 8192


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.functional.stain import sample_pixels
    from mitouts.stain import fit_reference
    from mitouts.stain.reference import MAX_PX

    if args.out.suffix.lower() != '.json':
        raise MitoutsError(f'--out must be named *.json, found {args.out}: a reference is told from an image by that')
    px_per_image = MAX_PX // len(args.images)
    pooled = np.concatenate([sample_pixels(read(path), px_per_image).reshape(-1, 3) for path in args.images])
    source = {
        'note': args.name or ', '.join(path.name for path in args.images),
        'images': [path.name for path in args.images],
        'sampled_px': len(pooled),
        'mitouts_version': __version__,
    }
    reference = fit_reference(pooled[:, None], source)
    write_json(args.out, reference.to_dict())
    _show(reference, args.out)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', type=Path, nargs='+', metavar='IMAGE', help='images or slides')
    parser.add_argument('--out', type=Path, required=True, metavar='JSON', help='where the numbers go')
    parser.add_argument('--name', metavar='NOTE', help='what it was computed from (default: the file names)')
    add_imports(parser)
    return parser


def read(path: Path) -> NDArray[np.uint8]:
    """Read a whole image, shrunk if it is larger than 100 megapixels; RGB ``(H, W, 3)``."""
    from mitouts.imaging import open_slide

    with open_slide(path) as slide:
        width, height = slide.dimensions
        if width * height <= WHOLE_PX:
            return slide.read_level(0, 0, 0, width, height)
        return slide.thumbnail(SHRUNK_SIDE_PX)


def _show(reference: Reference, out: Path) -> None:
    from mitouts.functional.stain import StainFit

    console = Console(soft_wrap=True, highlight=False)
    fit = reference.fit.parts['macenko']
    assert isinstance(fit, StainFit)
    for name, stain, maximum in zip(('haematoxylin', 'eosin'), fit.stains, fit.maxima):
        densities = ' '.join(f'{value:.3f}' for value in stain)
        console.print(f'{name:>12}: optical density in R, G, B {densities}, maximum {maximum:.3f}')
    console.print(f'written to {out}')
