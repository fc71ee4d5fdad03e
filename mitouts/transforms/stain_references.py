"""Checks arguments that the colour transforms share."""

from __future__ import annotations

import os
from pathlib import Path

from mitouts.errors import ConfigError
from mitouts.imaging.walk import find_images


def check_share(name: str, value: float) -> float:
    """Check that an argument is a number from 0 to 1, and return it.

    Raises:
        ConfigError: It is not; the message starts with ``name``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigError(f'{name} must be a number from 0 to 1, found {value!r}')
    return value


def list_references(name: str, folder: str | os.PathLike[str]) -> list[Path]:
    """List the image files of a folder, sorted by name.

    Raises:
        ConfigError: The folder does not exist or holds no image; the message starts with ``name``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f'{name}: {folder} is not a folder; expected one with reference images')
    paths, _ = find_images(folder, max_depth=0)
    if not paths:
        raise ConfigError(f'{name}: {folder} holds no image; put reference images there')
    return paths
