"""Reads the files of the page once, so that a request cannot ask for any other file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from mitouts.errors import ReviewError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

INDEX = 'index.html'
_MEDIA_TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
}


@dataclass(frozen=True)
class Asset:
    """A file of the page.

    Attributes:
        media_type: For the ``Content-Type`` header.
        etag: Changes with the content.
    """

    content: bytes
    media_type: str
    etag: str


def load_assets() -> dict[str, Asset]:
    """Read the page's files.

    Returns:
        Path below ``web`` -> file.

    Raises:
        ReviewError: The page is not there, because the package was installed without it.
    """
    folder = resources.files(__package__).joinpath('web')
    assets = dict(_walk(folder)) if folder.is_dir() else {}
    if INDEX not in assets:
        raise ReviewError(
            f'the page of the review is missing (no {INDEX} beside mitouts/review): install the package again'
        )
    return assets


def etag_of(content: bytes) -> str:
    """Compute a strong entity tag."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _walk(folder: Traversable, prefix: str = '') -> Iterator[tuple[str, Asset]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f'{prefix}{entry.name}/')
            continue
        suffix = entry.name[entry.name.rfind('.') :]
        if suffix in _MEDIA_TYPES:
            content = entry.read_bytes()
            yield f'{prefix}{entry.name}', Asset(content, _MEDIA_TYPES[suffix], etag_of(content))
