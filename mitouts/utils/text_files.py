"""Reads text and JSON in any Unicode encoding, and writes JSON files that are complete or do not appear."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.errors import AnnotationError
from mitouts.utils.files import written_aside

# The marks that editors on Windows put before a text; the longer one first, because UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def decode_text(data: bytes, where: str | os.PathLike[str], what: str = 'a text file') -> str:
    """Decode UTF-8, or UTF-8, UTF-16 or UTF-32 behind a byte order mark; the mark is dropped, lines end in ``\\n``.

    Args:
        data: Content of a file.
        where: Named in the error.
        what: Kind of file that was expected, for the error.

    Raises:
        AnnotationError: The data are in none of these encodings.
    """
    encoding = _encoding_of(data)
    try:
        return data.decode(encoding).replace('\r\n', '\n').replace('\r', '\n')
    except UnicodeDecodeError as error:
        name = encoding.removesuffix('-sig').upper()
        raise AnnotationError(
            f'{where}: not {what} (byte {error.start} is not {name}); save the file in UTF-8'
        ) from error


def _encoding_of(data: bytes) -> str:
    return next((name for mark, name in _MARKS if data.startswith(mark)), 'utf-8')


def read_text(path: str | os.PathLike[str], what: str = 'a text file') -> str:
    """Read a text file; see :func:`decode_text`.

    Raises:
        AnnotationError: There is no such file, or it is not text.
    """
    path = Path(path)
    try:
        return decode_text(path.read_bytes(), path, what)
    except FileNotFoundError as error:
        raise AnnotationError(f'{path}: no such file') from error


def parse_json(content: str | bytes, where: str | os.PathLike[str]) -> Any:
    """Parse JSON from text, or from a file's bytes; see :func:`decode_text`.

    Args:
        content: The text.
        where: Named in the error.

    Raises:
        AnnotationError: It is not JSON; the message says where it breaks.
    """
    text = decode_text(content, where, 'JSON') if isinstance(content, bytes) else content
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        reason = f'line {error.lineno}, column {error.colno}: {error.msg}'
        if isinstance(content, bytes) and not _encoding_of(content).startswith('utf-8'):
            # Any two bytes are a letter of UTF-16, so this may be no text at all.
            reason = f'byte 0 is not UTF-8); read as {_encoding_of(content).upper()} it breaks at ({reason}'
        raise AnnotationError(f'{where}: not JSON ({reason})') from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or brackets nested thousands deep.
        raise AnnotationError(f'{where}: not JSON that any tool would write ({str(error)[:80]})') from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; see :func:`parse_json`.

    Raises:
        AnnotationError: The file is missing or is not JSON; the message says where it breaks.
    """
    path = Path(path)
    try:
        return parse_json(path.read_bytes(), path)
    except FileNotFoundError as error:
        raise AnnotationError(f'{path}: no such file') from error


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write a JSON file that is complete or does not appear (:func:`mitouts.utils.files.written_aside`).

    Keys keep the order in which they were put in. NumPy scalars and arrays become plain numbers and lists.

    Raises:
        AnnotationError: The document holds something that JSON cannot represent (NaN, or an object).
        OSError: The file cannot be written.
    """
    path = Path(path)
    try:
        with written_aside(path) as aside, aside.open('w', encoding='utf-8') as file:
            json.dump(document, file, allow_nan=False, default=_plain)
            file.write('\n')
            file.flush()
            os.fsync(file.fileno())
    except (ValueError, TypeError) as error:
        raise AnnotationError(f'{path}: cannot be written as JSON: {error}') from error


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f'{value!r} ({type(value).__name__})')
