"""Reads from a checkpoint what it was trained on: data, config, stain and resolution."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitouts.checkpoint import read_checkpoint
from mitouts.stain.preparation import describe_colours
from mitouts.utils.defaults import RESEARCH_USE
from mitouts.zoo import name_of

UNKNOWN = 'unknown'
AS_SCANNED = 'images as they were'
# A run's name ends in a hash of its config.
_RUN_HASH = re.compile(r'-[0-9a-f]{8}$')


def trained_on(checkpoint: str | Path) -> dict[str, Any]:
    """Read what a model was trained on; what its checkpoint does not state is ``unknown``.

    Args:
        checkpoint: File of the checkpoint.

    Returns:
        ``dataset``, the name of the training data; ``ann_file``, its file, and ``config``, that of the run; ``stain``,
        what the images were normalized to; ``mpp`` in um per pixel; and ``in_words``, all of it in a line.

    Raises:
        CheckpointError: The checkpoint cannot be read.
    """
    meta = read_checkpoint(checkpoint).get('meta', {})
    return describe_training(meta)


def introduce(checkpoint: str | Path) -> str:
    """Describe a model in the line that a command prints before it uses it: name, training data, and its use.

    Args:
        checkpoint: File of the checkpoint.

    Raises:
        CheckpointError: It cannot be read.
    """
    trained = trained_on(checkpoint)
    name, resolution = _in_words(trained)
    # What the stain was normalized to, and by which file, is in the report and in mitouts models.
    stain = str(trained['stain']).split(' to ')[0]
    return f'{name_of(checkpoint)} was trained on {name}, {resolution}, stain: {stain}. {RESEARCH_USE.capitalize()}.'


def describe_training(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what a model was trained on from a checkpoint's ``meta``."""
    calibration = meta.get('mitouts') or {}
    config = _config(meta)
    known: dict[str, Any] = {
        'dataset': calibration.get('dataset') or UNKNOWN,
        'ann_file': _ann_file(config) or UNKNOWN,
        'config': _RUN_HASH.sub('', str(config.get('experiment_name') or '')) or UNKNOWN,
        'stain': _stain(calibration),
        'mpp': calibration.get('mpp') or UNKNOWN,
    }
    name, resolution = _in_words(known)
    in_words = f'{name} ({known["ann_file"]}), config {known["config"]}; stain: {known["stain"]}; {resolution}'
    return {**known, 'in_words': in_words}


def _in_words(known: Mapping[str, Any]) -> tuple[str, str]:
    name = 'a data set of unknown name' if known['dataset'] == UNKNOWN else known['dataset']
    return name, 'resolution unknown' if known['mpp'] == UNKNOWN else f'{known["mpp"]:.4g} um/px'


def _config(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        config = json.loads(meta.get('cfg') or '{}')
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _ann_file(config: Mapping[str, Any]) -> str | None:
    """Return the last three parts of the training's annotation file; the rest depends on the machine."""
    dataset = (config.get('train_dataloader') or {}).get('dataset') or {}
    # A data set may be wrapped in another.
    while isinstance(dataset, dict) and not dataset.get('ann_file') and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    ann_file = dataset.get('ann_file') if isinstance(dataset, dict) else None
    return '/'.join(Path(str(ann_file)).parts[-3:]) if ann_file else None


def _stain(calibration: Mapping[str, Any]) -> str:
    if 'stain_reference' not in calibration:
        return UNKNOWN
    reference = calibration['stain_reference']
    if not reference:
        return AS_SCANNED
    if not isinstance(reference, Mapping):
        return UNKNOWN
    return describe_colours({'method': UNKNOWN, **reference})
