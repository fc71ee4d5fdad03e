"""Make phantom slides: pyramidal TIFFs with tissue, tumour, a hotspot and mitotic figures that are all known.

    mitouts synthesize slide --out data/phantom_slide --width-px 20000 --height-px 15000

writes ``OUT/slide_NN.tif``, which OpenSlide and QuPath open; ``OUT/ann.json`` with every figure and look-alike;
``OUT/slide_NN_regions.geojson`` with the outlines of tissue and tumour; and ``OUT/slide_NN_truth.json`` with areas,
counts, the hotspot and the unreadable tiles.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.formats.provenance import check_out
from mitouts.synthetic.optics import SCANNERS
from mitouts.synthetic.slide_config import SlideConfig
from mitouts.utils.arguments import at_least, from_args, positive, share
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.synthetic.phantom.slide import PhantomSlide

TOOL = 'phantom_slide'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.synthetic.phantom.slide import PhantomSlide
    from mitouts.synthetic.phantom.slide_truth import annotation_entries, image_entry

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    _check_folder(args.out, args.overwrite)
    seeds = np.random.SeedSequence(args.seed).spawn(args.num_slides)
    config = from_args(SlideConfig, args, num_islands=args.islands)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, seed in enumerate(seeds, start=1):
        slide = PhantomSlide(config, seed)
        file_name = f'slide_{number:02d}.tif'
        _write(args, seed, file_name, slide, console)
        images.append(image_entry(slide, number, file_name, f'phantom_{number:02d}'))
        annotations += annotation_entries(slide, number, len(annotations) + 1)
    document = coco.make_document(
        images,
        annotations,
        name='phantom slides',
        tool=TOOL,
        arguments={key: value for key, value in vars(args).items() if key not in ('out', 'overwrite')},
        seed=args.seed,
        stain_reference=None,
    )
    coco.write_json(args.out / 'ann.json', document)
    console.print(f'written to {args.out}', markup=False)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    defaults = SlideConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--out', type=Path, required=True, metavar='DIR', help='where the slides go')
    add('--width-px', type=at_least(512), default=defaults.width_px, help='width of level 0 (default: %(default)s)')
    add('--height-px', type=at_least(512), default=defaults.height_px, help='height of level 0 (default: %(default)s)')
    add('--mpp', type=positive, default=defaults.mpp, help='micrometres per pixel (default: %(default)s)')
    add('--num-slides', type=at_least(1), default=1, help='slides, each a case of its own (default: 1)')
    add('--tissue-share', type=share, default=defaults.tissue_share, help='tissue of the slide (default: %(default)s)')
    add('--tumour-share', type=share, default=defaults.tumour_share, help='tumour of the tissue (default: %(default)s)')
    add('--islands', type=at_least(1), default=defaults.num_islands, help='pieces of tissue (default: %(default)s)')
    add(
        '--figures-per-mm2',
        type=_from_zero,
        default=defaults.figures_per_mm2,
        help='mitotic figures per mm2 of tumour outside the hotspot (default: %(default)s)',
    )
    add(
        '--hotspot-figures-per-mm2',
        type=_from_zero,
        default=defaults.hotspot_figures_per_mm2,
        help='mitotic figures per mm2 of hotspot (default: %(default)s)',
    )
    add('--hotspot-mm2', type=_from_zero, default=defaults.hotspot_mm2, help='its area (default: %(default)s)')
    add(
        '--look-alikes-per-mm2',
        type=_from_zero,
        default=defaults.look_alikes_per_mm2,
        help='look-alikes per mm2 of tumour; other tissue has a quarter of it (default: %(default)s)',
    )
    add('--scanner', choices=list(SCANNERS), help='default: drawn for each slide')
    add(
        '--edge-colours',
        type=at_least(1),
        default=defaults.edge_colours,
        help='more of them: less tissue that comes back, and a longer start (default: %(default)s)',
    )
    add('--corrupt-tiles', type=at_least(0), default=0, help='tiles that cannot be read, in the tumour (default: 0)')
    add('--tile-px', type=int, choices=(256, 512), default=512, help='side of a tile (default: 512)')
    add('--quality', type=int, choices=range(30, 101), metavar='30-100', default=85, help='of the JPEG (default: 85)')
    add('--seed', type=at_least(0), default=0, help='everything is drawn from it (default: 0)')
    add('--overwrite', action='store_true', help='replace slides that are there')
    return parser


def _from_zero(text: str) -> float:
    return 0.0 if float(text) == 0 else positive(text)


def _check_folder(out: Path, overwrite: bool) -> None:
    """Make the folder, and delete old annotations.

    Raises:
        AnnotationError: Slides are there already, or something that this tool did not write.
    """
    ann_file = out / 'ann.json'
    if out.exists() and not out.is_dir():
        raise AnnotationError(f'{out} is a file; --out is the folder for the slides')
    check_out(ann_file, TOOL)
    there = ann_file.exists() or any(out.glob('slide_*'))
    if there and not overwrite:
        raise AnnotationError(f'{out} holds slides already; choose another --out or add --overwrite')
    out.mkdir(parents=True, exist_ok=True)
    ann_file.unlink(missing_ok=True)


def _write(
    args: argparse.Namespace, seed: np.random.SeedSequence, file_name: str, slide: PhantomSlide, console: Console
) -> None:
    from mitouts.imaging.slide_writer import write_slide
    from mitouts.synthetic.phantom.slide_truth import choose_corrupt_tiles, regions, slide_truth

    path = args.out / file_name
    corrupt = choose_corrupt_tiles(slide, args.corrupt_tiles, args.tile_px, seed)
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(path.stem, total=-(-args.height_px // args.tile_px))
        write_slide(
            path,
            slide.read,
            (args.width_px, args.height_px),
            slide.glass_rgb,
            args.mpp,
            tile_px=args.tile_px,
            quality=args.quality,
            corrupt=[(column, row) for column, row in corrupt],
            on_row=lambda: progress.advance(task),
        )
    truth = slide_truth(slide, corrupt, args.tile_px)
    coco.write_json(args.out / f'{path.stem}_regions.geojson', regions(slide, file_name))
    coco.write_json(args.out / f'{path.stem}_truth.json', truth)
    console.print(
        f'{file_name}: {truth["tissue_mm2"]:.2f} mm2 of tissue, {truth["tumour_mm2"]:.2f} mm2 of tumour, '
        f'{plural(truth["figures"], "mitotic figure")}, {plural(truth["look_alikes"], "look-alike")}, '
        f'{path.stat().st_size / 1e6:.1f} MB'
    )
