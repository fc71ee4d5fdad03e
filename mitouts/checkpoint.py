"""Writes checkpoint files that are complete or do not appear, and reads them without unpickling code."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mitouts.errors import CheckpointError, TrainingError
from mitouts.utils.files import written_aside
from mitouts.utils.records import to_plain
from mitouts.utils.tensor_file import read_tensor_file
from mitouts.zoo import resolve_checkpoint


def write_checkpoint(path: str | Path, checkpoint: dict[str, Any]) -> None:
    """Write to a temporary file and rename it to ``path``, which is always the old file or the complete new one.

    Raises:
        TrainingError: The disk is full or not writable; an older file at ``path`` is untouched.
    """
    path = Path(path)
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    try:
        with written_aside(path) as aside, aside.open('wb') as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TrainingError(
            f'checkpoint {path} ({buffer.tell() / 2**20:.1f} MiB) cannot be written: {error}. Earlier checkpoints are '
            'untouched: make room, then start again with --resume'
        ) from error


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint onto the CPU with ``weights_only=True``; nothing in the file is executed.

    Args:
        path: The file, or the name of a model in the zoo.

    Raises:
        CheckpointError: It is missing, broken, or holds more than tensors and the engine's own records.
    """
    path = resolve_checkpoint(path)
    checkpoint = read_tensor_file(path, 'checkpoint')
    state = checkpoint.get('state_dict') if isinstance(checkpoint, dict) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"checkpoint {path} has no 'state_dict' of tensors: it is not a checkpoint of a training")
    if not isinstance(checkpoint.setdefault('meta', {}), dict):
        raise CheckpointError(f"checkpoint {path}: expected a dict as 'meta', found {checkpoint['meta']!r:.60}")
    if not isinstance(calibration := checkpoint['meta'].get('mitouts', {}), Mapping):
        raise CheckpointError(f"checkpoint {path}: expected a dict as meta['mitouts'], found {calibration!r:.60}")
    return checkpoint


def config_of(checkpoint: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """Return the config that a checkpoint was trained with, as plain values; its imports are not executed.

    Raises:
        CheckpointError: It has no config, or one without a model.
    """
    text = checkpoint['meta'].get('cfg')
    try:
        config = json.loads(text)
        config['model']['type']
    except (ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f'the config in checkpoint {source} is not JSON with a model ({error}): it was saved otherwise'
        ) from error
    return dict(config)


def need_finite(state: Mapping[str, torch.Tensor], name: str) -> None:
    """Raise an error if weights to be saved are not finite.

    Raises:
        TrainingError: An entry holds NaN or infinity.
    """
    broken = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise TrainingError(
            f'{name} is not saved: {len(broken)} of {len(state)} entries are not finite, the first is {broken[0]!r}. '
            'Earlier checkpoints are untouched: lower the learning rate or clip gradients, then go on with --resume'
        )


def need_training_state(checkpoint: Mapping[str, Any], source: str | Path) -> None:
    """Check that training can be resumed from a checkpoint.

    Raises:
        CheckpointError: It holds weights only, as ``best.pth`` and published checkpoints do.
    """
    meta = checkpoint.get('meta', {})
    missing = [key for key in ('optimizer', 'message_hub') if key not in checkpoint]
    missing += [f'meta.{key}' for key in ('epoch', 'iter') if key not in meta]
    if missing:
        raise CheckpointError(
            f'checkpoint {source} lacks {", ".join(missing)}, so no training can go on from it: resume from an '
            'epoch_N.pth, or start a new training with load_from'
        )


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Load a complete state dict.

    Raises:
        CheckpointError: An entry is missing, unexpected, or of another shape; the message names the first ones.
    """
    own = model.state_dict()
    problems = [f'{key} is missing' for key in own if key not in state]
    problems += [f'{key} is unknown' for key in state if key not in own]
    problems += [
        f'{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}'
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        raise CheckpointError(
            f'checkpoint {source} does not fit the config: {len(problems)} of {len(own)} entries differ, '
            f'first {"; ".join(problems[:3])}. Use the config that it was trained with'
        )
    model.load_state_dict(state)


def publish(checkpoint: dict[str, Any], source: str | Path = 'checkpoint') -> dict[str, Any]:
    """Return the part of a checkpoint that is worth sharing: weights and meta, as plain Python and tensors only.

    Raises:
        CheckpointError: It has no calibration, so it could not be used for counting.
    """
    meta = checkpoint.get('meta', {})
    if not meta.get('mitouts'):
        raise CheckpointError(
            f'{source} carries no thresholds (no validation was run before it was saved), so it cannot be used for '
            'counting: publish a checkpoint that was saved after a validation'
        )
    plain = {key: to_plain(meta[key]) for key in ('mitouts', 'epoch', 'cfg', 'seed', 'time') if key in meta}
    return {'meta': plain, 'state_dict': dict(checkpoint['state_dict'])}
