"""Reads files saved by torch without executing anything in them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.runner.checkpoint import get_torch_safe_globals

from mitouts.errors import CheckpointError

HEAD_BYTES = 1024
CONTENTS = {
    rb'version https://git-lfs': 'it is a pointer of Git LFS, not the file itself: run git lfs pull',
    rb'\s*<(!doctype|html|head|\?xml)': 'it is a saved web page, not the file itself: open it in a browser to see why',
    rb'\s*[{\[]\s*["{\]}]': 'it is JSON, perhaps what a server said instead of sending the file',
    rb'\x1f\x8b': 'it is a gzip file: unpack it first',
}


def read_tensor_file(path: str | Path, what: str) -> Any:
    """Load a file saved by torch onto the CPU with ``weights_only=True``.

    Args:
        path: File.
        what: Kind of file, named in errors, such as ``checkpoint``.

    Raises:
        CheckpointError: It is missing, broken, something else, or holds more than tensors and the engine's own records.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'{what} {path} ' + ('is a folder' if path.is_dir() else 'does not exist'))
    try:
        with torch.serialization.safe_globals(get_torch_safe_globals()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except (
        UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
        AttributeError,
        TypeError,
    ) as error:
        other = _other_content(path)
        if other:
            raise CheckpointError(f'{what} {path} cannot be read: {other}') from error
        reason = f'{type(error).__name__}: {error}'.splitlines()[0].split('. ')[0]
        raise CheckpointError(
            f'{what} {path} cannot be read ({reason}): it is broken, or holds Python objects other than tensors '
            'and numbers, which are never unpickled here'
        ) from error


def _other_content(path: Path) -> str | None:
    """Describe the content of a file that does not hold weights; None if it is not recognized."""
    with path.open('rb') as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return 'it is empty, perhaps a download that was cut: get it again'
    for pattern, meaning in CONTENTS.items():
        if re.match(pattern, head, re.IGNORECASE):
            return meaning
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not any(name.endswith('data.pkl') for name in names):
            return f'it is a zip archive of {", ".join(names[:3]) or "nothing"}: unpack it first, the file may be in it'
    return None
