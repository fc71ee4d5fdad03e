"""Files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal; the file may be larger than the memory."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
