"""Reads the label files of a folder, a tar or a zip archive, without unpacking anything to disk."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from mitouts.errors import AnnotationError
from mitouts.formats.source import check_coordinate, check_file_name
from mitouts.imaging.walk import SUFFIXES, is_junk, walk_files
from mitouts.utils.text_files import decode_text

MAX_DEPTH = 6
MAX_ENTRIES = 200_000
# The largest label file of a region holds some hundred rows of a few bytes.
MAX_FILE_BYTES = 4 << 20
MAX_ARCHIVE_BYTES = 1 << 30
_NUMBER = re.compile(r'\d+(\.\d*)?', re.ASCII)
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    # What zipfile raises for encrypted members, unknown compressions and impossible header fields.
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def read_files(src: str | os.PathLike[str], suffix: str) -> dict[str, str]:
    """Read all text files with a suffix below a folder, or inside a ``.tar``, ``.tar.gz`` or ``.zip``.

    Hidden files and macOS's resource forks are skipped.

    Args:
        suffix: Such as ``.csv``, in lower case.

    Returns:
        Path inside ``src`` with forward slashes -> text, sorted by path.

    Raises:
        AnnotationError: No such folder or archive, a damaged archive, a path that leads out of it, or something too
            large to be label files.
    """
    src = Path(src)
    if src.is_dir():
        contents = {name: _read(path.open('rb'), str(path)) for name in walk(src, (suffix,)) for path in [src / name]}
    elif src.is_file():
        contents = dict(_read_archive(src, suffix))
    else:
        raise AnnotationError(f'{src}: no such folder or archive')
    return {name: decode_text(contents[name], f'{src}: {name}') for name in sorted(contents)}


def read_rows(text: str, columns: Sequence[str], where: str) -> Iterator[tuple[int, list[float]]]:
    """Yield the line number and the values of each row of a table without a header; empty lines are skipped.

    Args:
        text: The table, separated by commas.
        columns: Names of its columns, all of them numbers from 0.

    Raises:
        AnnotationError: A row is not of this form.
    """
    for line, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        cells = [cell.strip() for cell in row.split(',')]
        if len(cells) != len(columns) or not all(_NUMBER.fullmatch(cell) for cell in cells):
            raise AnnotationError(
                f'{where}: line {line}: expected "{",".join(columns)}", numbers without a header, found {row[:60]!r}'
            )
        values = [check_coordinate(float(cell), f'{where}: line {line}') for cell in cells]
        yield line, [int(value) if value.is_integer() else value for value in values]


def walk(root: Path, suffixes: Sequence[str] = SUFFIXES) -> Iterator[str]:
    """Yield the relative paths of a folder's files that end in one of ``suffixes``, at most six folders deep.

    Raises:
        AnnotationError: The folder is too large to be that of a data set, or a file name is not text.
    """
    for number, path in enumerate(walk_files(root, max_depth=MAX_DEPTH)):
        if number >= MAX_ENTRIES:
            raise AnnotationError(
                f'{root}: holds more than {MAX_ENTRIES:,} files; give the folder of the data set itself'
            )
        if path.name.lower().endswith(tuple(suffixes)):
            yield check_file_name(path.relative_to(root).as_posix(), str(root))


def _read_archive(src: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    members = _zip_members(src, suffix) if zipfile.is_zipfile(src) else _tar_members(src, suffix)
    seen: set[str] = set()
    try:
        for name, data in members:
            if name in seen:
                raise AnnotationError(f'{src}: {name} is in it twice')
            seen.add(name)
            yield name, data
    except AnnotationError:
        raise
    except _BROKEN as error:
        raise AnnotationError(
            f'{src}: cannot be read as a .tar, .tar.gz or .zip archive ({error}); download it again, or unpack it and '
            'give the folder'
        ) from error


def _zip_members(src: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(src) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise AnnotationError(f'{src}: {len(infos):,} files are too many to be label files')
        for info in infos:
            name = check_file_name(info.filename, str(src))
            if info.is_dir() or not _is_wanted(name, suffix):
                continue
            yield name, _read(archive.open(info), f'{src}: {name}')


def _tar_members(src: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    with src.open('rb') as raw:
        is_gzip = raw.read(2) == b'\x1f\x8b'
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        bounded = _Bounded(stream, src)
        # Read as a stream, so that what is passed over counts as well.
        with tarfile.open(fileobj=bounded, mode='r|') as archive:  # type: ignore[call-overload]
            for entries, member in enumerate(archive):
                name = check_file_name(member.name, str(src))
                if entries >= MAX_ENTRIES:
                    raise AnnotationError(f'{src}: more than {MAX_ENTRIES:,} files are too many to be label files')
                if not member.isreg() or not _is_wanted(name, suffix):
                    continue
                file = archive.extractfile(member)
                data = b'' if file is None else _read(file, f'{src}: {name}')
                if len(data) != member.size:
                    raise EOFError(f'{name} ends early')
                yield name, data


class _Bounded:
    """A stream that raises an error once an archive has unpacked to too many bytes."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, src: Path) -> None:
        self._stream = stream
        self._src = src
        self._left = MAX_ARCHIVE_BYTES

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise AnnotationError(
                f'{self._src}: unpacks to more than {MAX_ARCHIVE_BYTES >> 20:,} MiB, too much for label files; '
                'if it holds images as well, unpack it and give the folder'
            )
        return self._stream.read(size)


def _is_wanted(name: str, suffix: str) -> bool:
    return name.lower().endswith(suffix) and not any(is_junk(part) for part in name.split('/'))


def _read(file: IO[bytes], where: str) -> bytes:
    with file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise AnnotationError(f'{where} is larger than {MAX_FILE_BYTES >> 20} MiB, too large for a label file')
    return data
