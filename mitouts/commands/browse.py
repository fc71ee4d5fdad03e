"""Draw augmented samples of a config's data set with their points, to see what the model is trained on.

    mitouts browse wss/lite0_max_strong --data amibr-fields --num 12 --epochs 3

Half of the images are positive as far as there are any; an orange frame marks them, a circle each annotated figure.
With several epochs, each image is drawn side by side as it looks in each of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mitouts.errors import ConfigError
from mitouts.utils.arguments import add_cfg_options, add_config, add_imports, at_least
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mmengine.config import Config

COLUMNS = 6


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.engine.config import load_config
    from mitouts.engine.data_sets import run_name
    from mitouts.visualization.canvas import write_png
    from mitouts.visualization.contact_sheet import contact_sheet
    from mitouts.visualization.samples import draw_item

    config = load_config(args.config, args.cfg_options, args.data)
    dataset = build_dataset(config, args.split)
    indices = choose_images(dataset.labels(), args.num)
    drawn = []
    for epoch in range(args.epochs):
        dataset.set_epoch(epoch)
        drawn.append([draw_item(dataset[int(index)]) for index in indices])
    tiles = [drawn[epoch][i][0] for i in range(len(indices)) for epoch in range(args.epochs)]
    captions = [drawn[epoch][i][1] for i in range(len(indices)) for epoch in range(args.epochs)]
    columns = args.epochs * max(1, COLUMNS // args.epochs)
    out = Path(args.out or Path('work_dirs') / run_name(args.config, args.data) / f'browse_{args.split}.png')
    write_png(out, contact_sheet(tiles, captions, columns, args.tile_px))
    positive = int(dataset.labels()[indices].sum())
    print(
        f'{out}: {len(indices)} of {len(dataset)} {args.split} images, {positive} positive, '
        f'{plural(args.epochs, "epoch")}'
    )


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config(parser)
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='which dataloader (default: train)'
    )
    parser.add_argument('--num', type=at_least(1), default=24, help='number of images (default: 24)')
    parser.add_argument(
        '--epochs', type=at_least(1), default=1, help='draw each image in this many epochs (default: 1)'
    )
    parser.add_argument(
        '--tile-px', type=at_least(1), default=260, help='side of a picture on the sheet (default: 260)'
    )
    parser.add_argument('--out', help='PNG to write (default: work_dirs/CONFIG_DATA/browse_SPLIT.png)')
    add_cfg_options(parser)
    add_imports(parser)
    return parser


def build_dataset(config: Config, split: str) -> Any:
    """Build the data set of a split with its pipeline, seeded as training seeds it.

    Raises:
        ConfigError: The config has no such dataloader.
    """
    from mmengine.registry import init_default_scope

    from mitouts.engine.runs import staged_hint
    from mitouts.registry import DATASETS, SCOPE
    from mitouts.utils.config_files import config_name

    loader = config.get(f'{split}_dataloader')
    if loader is None:
        raise ConfigError(f'config {config_name(config.filename)} lacks {split}_dataloader{staged_hint(config)}')
    init_default_scope(config.get('default_scope', SCOPE))
    dataset = DATASETS.build(loader.dataset)
    dataset.seed = config.get('randomness', {}).get('seed') or 0
    return dataset


def choose_images(labels: np.ndarray, num: int) -> np.ndarray:
    """Choose at most ``num`` indices, ascending, spread over the data set, half of them positive where possible."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)
    num_positive = min(len(positive), max(num // 2, num - len(negative)))
    num_negative = min(len(negative), num - num_positive)
    return np.sort(np.concatenate([_spread(positive, num_positive), _spread(negative, num_negative)]))


def _spread(indices: np.ndarray, num: int) -> np.ndarray:
    return indices[np.linspace(0, len(indices) - 1, num).round().astype(int)] if num else indices[:0]
