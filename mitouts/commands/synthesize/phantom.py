"""Make a phantom: synthetic H&E fields with mitotic figures and look-alikes, as a data set of train, val and test.

    mitouts synthesize phantom --out data/phantom --noise 0.3

writes ``OUT/images/<split>/NNNNN.png`` and ``OUT/<split>.json``. Running it again with the same arguments makes what is
missing; other arguments need ``--overwrite``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mitouts.formats import coco
from mitouts.formats.provenance import read_earlier
from mitouts.utils.arguments import at_least, share
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.synthetic.phantom import PhantomConfig

TOOL = 'phantom'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.synthetic.phantom import PhantomConfig, writer

    config = PhantomConfig(size_px=args.size_px, positive_share=args.positive_rate)
    stamp = _stamp(args, config)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    missing = [split for split in writer.SPLITS if not _is_complete(args.out, split, stamp, args.overwrite)]
    if not missing:
        console.print(f'{args.out} is complete and was made with these arguments; nothing to do')
        return 0
    stale = {split: _forget(args.out / f'{split}.json') for split in missing}
    columns = (TextColumn('{task.description:>6}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for split in missing:
            document = _make_split(split, args, config, stamp, progress)
            coco.write_json(args.out / f'{split}.json', document)
            for name in stale[split] - {image['file_name'] for image in document['images']}:
                (args.out / name).unlink(missing_ok=True)
    for split in missing:
        console.print(_summary(split, coco.read_coco(args.out / f'{split}.json')))
    console.print(f'written to {args.out}')
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where the data set goes')
    parser.add_argument('--num-train', type=at_least(1), default=600, help='training fields (default: 600)')
    parser.add_argument('--num-val', type=at_least(1), default=200, help='validation fields (default: 200)')
    parser.add_argument('--num-test', type=at_least(1), default=300, help='test fields (default: 300)')
    parser.add_argument('--size-px', type=at_least(96), default=256, help='side of a field (default: 256)')
    parser.add_argument(
        '--noise',
        type=share,
        default=0.3,
        help='share of the look-alikes in training fields that are annotated as mitotic figures (default: 0.3)',
    )
    parser.add_argument('--hard-negatives', action='store_true', help='annotate look-alikes as hard negatives')
    parser.add_argument('--positive-rate', type=share, default=0.5, help='share of fields with a figure (default: 0.5)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='everything is drawn from it (default: 0)')
    parser.add_argument(
        '--workers', type=at_least(1), default=2, help='processes; no effect on the result (default: 2)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a data set made with other arguments')
    return parser


def _stamp(args: argparse.Namespace, config: PhantomConfig) -> dict[str, Any]:
    """Return everything that the data set depends on, as JSON reads it back."""
    from mitouts.synthetic.phantom import writer

    names = ('num_train', 'num_val', 'num_test', 'noise', 'hard_negatives', 'seed')
    look = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(config).items()}
    return {**{name: getattr(args, name) for name in names}, **look, 'generator_version': writer.GENERATOR_VERSION}


def _is_complete(out: Path, split: str, stamp: dict[str, Any], overwrite: bool) -> bool:
    """Whether a split exists, is complete, and was made with these arguments.

    Raises:
        AnnotationError: It was made by something else, or with other arguments and ``overwrite`` is off.
    """
    path = out / f'{split}.json'
    if not path.exists():
        return False
    document = read_earlier(path, TOOL, stamp, overwrite=overwrite)
    return document is not None and all((out / image['file_name']).is_file() for image in document['images'])


def _forget(path: Path) -> set[str]:
    """Remove a split's old annotations before its images change, and return the images that they named."""
    if not path.exists():
        return set()
    names = {image['file_name'] for image in coco.read_coco(path)['images']}
    path.unlink()
    return names


def _make_split(
    split: str, args: argparse.Namespace, config: PhantomConfig, stamp: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    from mitouts.synthetic.phantom import writer

    draws = writer.plan_split(config, split, getattr(args, f'num_{split}'), args.seed)
    rendered = writer.write_images(args.out, config, draws, args.workers)
    fields = list(progress.track(rendered, total=len(draws), description=split))
    noisy = writer.mislabelled(fields, args.noise, args.seed) if split == 'train' else set()
    images, annotations = writer.annotate(draws, fields, config, noisy, args.hard_negatives)
    return coco.make_document(
        images,
        annotations,
        name=f'phantom, {split}',
        tool=TOOL,
        arguments=stamp,
        seed=args.seed,
        stain_reference=None,
        look_alikes=sum(len(field.look_alike_kinds) for field in fields),
    )


def _summary(split: str, document: dict[str, Any]) -> str:
    figures = [entry for entry in document['annotations'] if entry['category_id'] == coco.MITOTIC_FIGURE]
    positive = {entry['image_id'] for entry in figures}
    noise = sum(entry['is_noise'] for entry in figures)
    wrong = sum(image['is_noise'] for image in document['images'])
    text = (
        f'{split}: {plural(len(document["images"]), "field")}, {len(positive)} positive, '
        f'{plural(len(figures) - noise, "mitotic figure")}, '
        f'{document["info"]["mitouts"]["look_alikes"]} look-alikes'
    )
    return f'{text}; {noise} look-alikes annotated as figures, {wrong} fields positive by them alone' if noise else text
