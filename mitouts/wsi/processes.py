"""Determines this process's number among those that share the slides, its device and its folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from mitouts.errors import ConfigError


def process_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return the number of this process and how many there are, from torchrun's environment.

    Raises:
        ConfigError: They make no sense.
    """
    texts = environment.get('RANK', '0'), environment.get('WORLD_SIZE', '1')
    if all(text.isdecimal() for text in texts) and int(texts[0]) < int(texts[1]):
        return int(texts[0]), int(texts[1])
    raise ConfigError(
        f'RANK={texts[0]} and WORLD_SIZE={texts[1]} in the environment: expected whole numbers, RANK from 0 and below '
        'WORLD_SIZE'
    )


def make_folder(path: Path) -> None:
    """Make the folder of the results, so that an error shows before hours of counting.

    Raises:
        ConfigError: Nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return
    except OSError as error:
        raise ConfigError(
            f'--out {path}: nothing can be written there ({error.strerror}); choose another folder'
        ) from error


def device_of(name: str | None) -> str:
    """Return the device of this process; each of several processes takes a GPU of its own.

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if name != 'cuda':
        return name
    if not torch.cuda.is_available():
        raise ConfigError('--device cuda: no GPU is visible; use --device cpu')
    return f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()}'
