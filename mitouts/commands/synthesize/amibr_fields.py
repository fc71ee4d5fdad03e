"""Make AMi-Br fields: a benchmark of localization on real pixels, from the AMi-Br crops.

    python tools/dataset_converters/amibr_fields.py SRC --out data/amibr_fields

writes ``OUT/images/<split>/NNNNN.png`` and ``OUT/<split>.json`` for train, val and test (half positive) and for val_p10
and test_p10 (10% positive). Running it again goes on where it stopped; other arguments need ``--overwrite``.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mitouts.converters import amibr
from mitouts.errors import ImageError
from mitouts.formats import coco
from mitouts.formats.provenance import read_earlier
from mitouts.synthetic import amibr_fields as fields
from mitouts.utils.arguments import at_least, share
from mitouts.utils.cli import run

TOOL = 'amibr_fields'
GENERATOR_VERSION = 1
EVAL_POSITIVE_RATE = 0.5
PREVALENT_RATE = 0.1
NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Split:
    """One annotation file to make."""

    name: str
    number: int
    slides: list[fields.SlideCrops]
    num_fields: int
    positive_rate: float
    noise: float


def main() -> int:
    """Run the tool."""
    args = parse_args()
    figures = amibr.read_amibr(args.src)
    arguments = _stamp(args)
    # The images that a split held before: those it no longer names are removed once the new file is there.
    todo = _splits_to_make(args.out, arguments, args.overwrite)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not todo:
        console.print(f'{args.out} is complete and was made with these arguments; nothing to do')
        return 0
    slides, left_out = fields.collect_slides(figures, [amibr.read_crop(figure) for figure in figures])
    console.print(
        f'{len(figures)} crops; left out: {left_out["padded_crops"]} with black padding, and '
        f'{left_out["crops_of_unusable_slides"]} of {left_out["unusable_slides"]} slides with fewer than '
        f'{fields.MIN_CROPS} others'
    )
    with Progress(console=console) as progress:
        for split in _plan(args, slides):
            if split.name in todo:
                document = _make_split(split, args, arguments, left_out, progress)
                coco.write_json(args.out / f'{split.name}.json', document)
                for name in todo[split.name] - {image['file_name'] for image in document['images']}:
                    (args.out / name).unlink(missing_ok=True)
    console.print(f'written to {args.out}')
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('src', type=Path, metavar='SRC', help='the AMi-Br folder, with AMI-BR.csv and patches/')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where the fields go')
    parser.add_argument('--grid', type=at_least(1), default=5, help='tiles along each side (default: 5)')
    parser.add_argument('--num-train', type=at_least(1), default=800, help='training fields (default: 800)')
    parser.add_argument('--num-val', type=at_least(1), default=200, help='validation fields (default: 200)')
    parser.add_argument('--num-test', type=at_least(1), default=400, help='test fields (default: 400)')
    parser.add_argument('--noise', type=share, default=0.0, help='share of positive training fields without a figure')
    parser.add_argument('--positive-rate', type=share, default=0.5, help='share of positive training fields')
    parser.add_argument('--split', type=_split, default='paper', help='paper, or fold:K with K from 0 to 4')
    parser.add_argument('--seed', type=at_least(0), default=0, help='everything is drawn from it (default: 0)')
    parser.add_argument('--workers', type=at_least(1), default=1, help='threads; the result is the same (default: 1)')
    parser.add_argument('--overwrite', action='store_true', help='replace fields made with other arguments')
    return parser.parse_args()


def _split(text: str) -> str:
    if text == 'paper' or text in {f'fold:{fold}' for fold in range(fields.NUM_FOLDS)}:
        return text
    raise argparse.ArgumentTypeError(f'must be paper or fold:0 to fold:{fields.NUM_FOLDS - 1}, found {text!r}')


def _stamp(args: argparse.Namespace) -> dict[str, Any]:
    """Return all that the fields depend on."""
    names = ('grid', 'num_train', 'num_val', 'num_test', 'noise', 'positive_rate', 'split', 'seed')
    return {
        **{name: getattr(args, name) for name in names},
        'source_sha256': hashlib.sha256((args.src / amibr.CSV_NAME).read_bytes()).hexdigest(),
        'generator_version': GENERATOR_VERSION,
    }


def _splits_to_make(out: Path, arguments: dict[str, Any], overwrite: bool) -> dict[str, set[str]]:
    """Return the splits that are not there yet, or not whole, each with the images that its old file lists.

    The old file of a split that is about to change is removed at once, so that it never names images of another set.

    Raises:
        AnnotationError: The folder holds files of another origin, or of other arguments and ``overwrite`` is off.
    """
    todo: dict[str, set[str]] = {}
    outdated: list[Path] = []
    for name in fields.SPLITS:
        path = out / f'{name}.json'
        if not path.exists():
            todo[name] = set()
            continue
        document = read_earlier(path, TOOL, arguments, overwrite=overwrite)
        if document is None:
            outdated.append(path)
            todo[name] = {image['file_name'] for image in coco.read_json(path)['images']}
        elif not all((out / image['file_name']).is_file() for image in document['images']):
            todo[name] = set()
    for path in outdated:
        path.unlink()
    return todo


def _plan(args: argparse.Namespace, slides: list[fields.SlideCrops]) -> Iterator[Split]:
    if args.split == 'paper':
        parts = fields.split_paper(slides)
    else:
        parts = fields.split_fold(slides, int(args.split.removeprefix('fold:')), args.seed)
    sizes = {'train': args.num_train, 'val': args.num_val, 'test': args.num_test}
    for number, name in enumerate(fields.SPLITS):
        part = name.removesuffix('_p10')
        rate = PREVALENT_RATE if name.endswith('_p10') else EVAL_POSITIVE_RATE
        if name == 'train':
            yield Split(name, number, parts[part], sizes[part], args.positive_rate, args.noise)
        else:
            yield Split(name, number, parts[part], sizes[part], rate, 0.0)


def _make_split(
    split: Split, args: argparse.Namespace, arguments: dict[str, Any], left_out: dict[str, int], progress: Progress
) -> dict[str, Any]:
    folder = args.out / 'images' / split.name
    folder.mkdir(parents=True, exist_ok=True)
    draws = fields.plan_fields(
        split.num_fields, split.positive_rate, split.noise, seed=args.seed, split_number=split.number
    )

    def make(draw: fields.Draw) -> tuple[fields.SlideCrops, fields.AmibrField]:
        slide, field = fields.draw_field(split.slides, args.grid, draw)
        _write_png(folder / f'{draw.index:05d}.png', field.image)
        return slide, dataclasses.replace(field, image=NO_IMAGE)

    with ThreadPoolExecutor(args.workers) as pool:
        made = list(progress.track(pool.map(make, draws), total=len(draws), description=f'{split.name:>8}'))
    side_px = args.grid * fields.TILE_PX
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (slide, field) in enumerate(made, start=1):
        name = f'images/{split.name}/{image_id - 1:05d}.png'
        images.append(
            coco.make_image(
                image_id,
                name,
                side_px,
                side_px,
                case_id=Path(slide.slide).stem,
                mpp=amibr.CROP_MPP,
                scanner=fields.scanner_of(slide.slide),
                split=split.name,
                is_noise=field.is_noise,
            )
        )
        annotations += _annotate(field, image_id, first_id=len(annotations) + 1)
    return coco.make_document(
        images,
        annotations,
        name=f'AMi-Br fields, {split.name}',
        tool=TOOL,
        arguments=arguments,
        seed=args.seed,
        stain_reference=None,
        slides=[slide.slide for slide in split.slides],
        left_out=left_out,
    )


def _annotate(field: fields.AmibrField, image_id: int, first_id: int) -> list[dict[str, Any]]:
    annotations = []
    for number, (x, y) in enumerate(field.points.tolist()):
        extra = {} if field.is_noise else {'source_uid': field.source_uids[number]}
        annotations.append(
            coco.make_annotation(
                first_id + number, image_id, coco.MITOTIC_FIGURE, x, y, **extra, is_noise=field.is_noise
            )
        )
    return annotations


def _write_png(path: Path, image: np.ndarray) -> None:
    done, data = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageError(f'{path}: could not be encoded as PNG')
    path.write_bytes(data.tobytes())


if __name__ == '__main__':
    run(main)
