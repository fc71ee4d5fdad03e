"""Make AMi-Br fields: a benchmark of localization on real pixels, from the AMi-Br crops.

    mitouts synthesize amibr-fields SRC --out data/amibr_fields

writes ``OUT/images/<split>/NNNNN.png`` and ``OUT/<split>.json`` for train, val and test (half positive) and for val_p10
and test_p10 (10% positive). Running it again goes on where it stopped; other arguments need ``--overwrite``.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from mitouts.formats import coco
from mitouts.formats.provenance import read_earlier
from mitouts.utils.arguments import at_least, share
from mitouts.utils.defaults import NUM_FOLDS

TOOL = 'amibr_fields'
GENERATOR_VERSION = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.converters.amibr import read_amibr, read_crop
    from mitouts.synthetic.amibr_fields import MIN_CROPS, collect_slides
    from mitouts.synthetic.amibr_writer import annotate, plan_splits, write_images

    figures = read_amibr(args.src)
    arguments = _stamp(args)
    # The images that a split held before: those it no longer names are removed once the new file is there.
    todo = _splits_to_make(args.out, arguments, args.overwrite)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not todo:
        console.print(f'{args.out} is complete and was made with these arguments; nothing to do')
        return 0
    slides, left_out = collect_slides(figures, [read_crop(figure) for figure in figures])
    console.print(
        f'{len(figures)} crops; left out: {left_out["padded_crops"]} with black padding, and '
        f'{left_out["crops_of_unusable_slides"]} of {left_out["unusable_slides"]} slides with fewer than '
        f'{MIN_CROPS} others'
    )
    with Progress(console=console) as progress:
        num_fields = {name: getattr(args, f'num_{name}') for name in ('train', 'val', 'test')}
        settings = dict(positive_rate=args.positive_rate, noise=args.noise, seed=args.seed)
        for split in plan_splits(slides, args.split, num_fields, **settings):
            if split.name not in todo:
                continue
            drawn = write_images(args.out, split, args.grid, seed=args.seed, workers=args.workers)
            made = list(progress.track(drawn, total=split.num_fields, description=f'{split.name:>8}'))
            images, annotations = annotate(split, made, args.grid)
            document = coco.make_document(
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
            coco.write_json(args.out / f'{split.name}.json', document)
            for name in todo[split.name] - {image['file_name'] for image in images}:
                (args.out / name).unlink(missing_ok=True)
    console.print(f'written to {args.out}')
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
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
    return parser


def _split(text: str) -> str:
    if text == 'paper' or text in {f'fold:{fold}' for fold in range(NUM_FOLDS)}:
        return text
    raise argparse.ArgumentTypeError(f'must be paper or fold:0 to fold:{NUM_FOLDS - 1}, found {text!r}')


def _stamp(args: argparse.Namespace) -> dict[str, Any]:
    """Return everything that the fields depend on."""
    from mitouts.converters.amibr import CSV_NAME

    names = ('grid', 'num_train', 'num_val', 'num_test', 'noise', 'positive_rate', 'split', 'seed')
    return {
        **{name: getattr(args, name) for name in names},
        'source_sha256': hashlib.sha256((args.src / CSV_NAME).read_bytes()).hexdigest(),
        'generator_version': GENERATOR_VERSION,
    }


def _splits_to_make(out: Path, arguments: dict[str, Any], overwrite: bool) -> dict[str, set[str]]:
    """Return the splits that are missing or incomplete, each with the images that its old file lists.

    The old file of a split that is about to change is removed at once, so that it never names images of another set.

    Raises:
        AnnotationError: The folder holds files of another origin, or of other arguments and ``overwrite`` is off.
    """
    from mitouts.synthetic.amibr_fields import SPLITS

    todo: dict[str, set[str]] = {}
    outdated: list[Path] = []
    for name in SPLITS:
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
