"""Writes files so that they are complete or do not appear, and identifies files by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a temporary path to write to and rename it to ``path`` at the end, so that readers never see half a file.

    The folder is created. After an error no temporary file is left, and an older file stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal; the file may be larger than the memory."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write_folder(
    out: Path, files: Mapping[str, Any], write: Callable[[Path, Any], None], *, overwrite: bool = False
) -> None:
    """Write files, such as one for each image, into a folder.

    Args:
        out: The folder.
        files: Relative path -> content.
        write: Function that writes one file.
        overwrite: Replace existing files.

    Raises:
        AnnotationError: A file exists, perhaps with corrections, and ``overwrite`` is off; then nothing is written.
    """
    if out.exists() and not out.is_dir():
        raise AnnotationError(f'{out} is a file; --out is the folder for one file an image')
    there = [name for name in files if (out / name).exists()]
    if there and not overwrite:
        raise AnnotationError(
            f'{out / there[0]} exists and may hold corrections ({len(there)} of {len(files)} files do); choose another '
            '--out or add --overwrite'
        )
    for name, content in files.items():
        write(out / name, content)
