"""List the models that the package brings, or describe a checkpoint: what it was trained on, and its thresholds.

    mitouts models
    mitouts models work_dirs/demo/student/best.pth

A model of the list is taken by its name wherever a command takes a checkpoint: mitouts predict IMAGES --checkpoint NAME
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitouts.utils.arguments import add_checkpoint
from mitouts.zoo import card_of, zoo_models

NO_MODEL = (
    'The zoo has no model yet. A checkpoint of your own is used by its path: mitouts predict IMAGES --checkpoint '
    'best.pth; mitouts models best.pth describes it, mitouts publish best.pth OUT.pth reduces it to what others need.'
)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_checkpoint(parser, 'checkpoint', nargs='?', help='describe this one: a file, or a name out of the zoo')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    if args.checkpoint is None:
        if not zoo_models():
            print(NO_MODEL)
        for name, path in zoo_models().items():
            print(f'{name}\n{describe(path)}\n')
        return 0
    print(describe(args.checkpoint))
    models = {path: name for name, path in zoo_models().items()}
    card = card_of(models[args.checkpoint]) if args.checkpoint in models else None
    if card is not None:
        print(f'\n{card}', end='')
    return 0


def describe(path: Path) -> str:
    """Describe a checkpoint by what it states, one line for each fact."""
    from mitouts.checkpoint import read_checkpoint
    from mitouts.inference.training_record import UNKNOWN, describe_training

    checkpoint = read_checkpoint(path)
    meta = checkpoint['meta']
    calibration = meta.get('mitouts', {})
    trained = describe_training(meta)
    parameters = sum(tensor.numel() for tensor in checkpoint['state_dict'].values())
    facts = {
        'trained on': trained['dataset'],
        'annotations': trained['ann_file'],
        'config': trained['config'],
        'resolution': trained['mpp'] if trained['mpp'] == UNKNOWN else f'{trained["mpp"]:.4g} um/px',
        'stain': trained['stain'],
        'classes': ', '.join(calibration.get('classes') or [UNKNOWN]),
        'thresholds': _thresholds(calibration),
        'rotations': str(calibration.get('rotations', 1)),
        'weights': f'{parameters:,} numbers, {path.stat().st_size / 2**20:.1f} MiB',
        'made by': f'mitouts {calibration.get("version", UNKNOWN)}',
    }
    return '\n'.join(f'  {name:<12}{value}' for name, value in facts.items())


def _thresholds(calibration: Mapping[str, Any]) -> str:
    values = {name: calibration.get(f'{name}_threshold') for name in ('image', 'map', 'slide')}
    known = ', '.join(f'{name} {value:.3f}' for name, value in values.items() if isinstance(value, float))
    return known or 'none: it cannot predict or count; train it to its end, or use mitouts calibrate'
