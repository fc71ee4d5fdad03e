"""Finds the DICOM files in a folder that form one slide, by their headers alone."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from mitouts.errors import ImageError

_WHOLE_SLIDE_CLASS = '1.2.840.10008.5.1.4.1.1.77.1.6'
_IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
_EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
_DEFLATED = '1.2.840.10008.1.2.1.99'
_UNDEFINED_LENGTH = 0xFFFFFFFF
_MAX_VALUE_BYTES = 4096
_MAX_NESTING = 16
_LONG_VRS = frozenset([b'OB', b'OD', b'OF', b'OL', b'OV', b'OW', b'SQ', b'SV', b'UC', b'UN', b'UR', b'UT', b'UV'])
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMAGE_TYPE = (0x0008, 0x0008)
_CLASS = (0x0008, 0x0016)
_SERIES = (0x0020, 0x000E)
_TOTAL_COLUMNS = (0x0048, 0x0006)


@dataclass(frozen=True)
class DicomHeader:
    """The header of one DICOM file.

    Attributes:
        series_uid: SeriesInstanceUID: the files of a slide share it.
        class_uid: SOPClassUID: what kind of object it is.
        flavor: Third value of ImageType: ``VOLUME`` for a level of the slide, ``LABEL``, ``OVERVIEW`` or ``THUMBNAIL``
            for what comes with it.
        total_columns: Width of the level in pixels, 0 where it is not stated.
    """

    series_uid: str
    class_uid: str
    flavor: str
    total_columns: int

    @property
    def is_level(self) -> bool:
        """Whether the file is a level of a slide."""
        return self.class_uid == _WHOLE_SLIDE_CLASS and self.flavor == 'VOLUME'

    @property
    def kind(self) -> str:
        """Description of the file in words."""
        if self.class_uid != _WHOLE_SLIDE_CLASS:
            return 'a DICOM object that is no whole-slide image'
        return f'the {self.flavor.lower() or "unnamed part"} of a slide'


def is_dicom(path: Path) -> bool:
    """Tell whether the file begins as a DICOM file does."""
    try:
        with path.open('rb') as file:
            return file.read(132)[128:] == b'DICM'
    except OSError:
        return False


def read_dicom_header(path: Path) -> DicomHeader:
    """Read the header entries that tell the files of a slide apart; no pixel is read.

    Raises:
        ImageError: The header is broken, or compressed.
    """
    try:
        with path.open('rb') as file:
            values = _read_values(file)
    except (OSError, struct.error, ValueError) as error:
        raise ImageError(f'{path} cannot be read: its DICOM header is broken ({error}); get the file again') from error
    kinds = _text(values.get(_IMAGE_TYPE, b'')).split('\\')
    columns = values.get(_TOTAL_COLUMNS, b'')
    return DicomHeader(
        series_uid=_text(values.get(_SERIES, b'')),
        class_uid=_text(values.get(_CLASS, b'')),
        flavor=kinds[2].strip().upper() if len(kinds) > 2 else '',
        total_columns=int.from_bytes(columns, 'little') if len(columns) == 4 else 0,
    )


def dicom_slide(path: Path) -> Path:
    """Return the file to open for a DICOM file's slide: the largest level of its series in its folder.

    Args:
        path: Any file of the slide; its label and overview lead to the slide, too.

    Raises:
        ImageError: The file is broken, is no whole-slide image, or there is no level of its slide in the folder.
    """
    header = read_dicom_header(path)
    slide = _slides_of_folder(path.parent).get(header.series_uid) if header.class_uid == _WHOLE_SLIDE_CLASS else None
    if slide is None:
        raise ImageError(
            f'{path} is {header.kind}: expected a level of a slide (ImageType VOLUME) in it or in a '
            'file of the same series beside it'
        )
    return path.with_name(slide)


def dicom_slides(folder: Path) -> list[Path]:
    """List the DICOM slides whose files lie in a folder (not below it): one file for each series, by name."""
    return sorted(folder / name for name in _slides_of_folder(folder).values())


def _slides_of_folder(folder: Path) -> dict[str, str]:
    return _index(os.fspath(folder), folder.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _index(folder: str, changed_ns: int) -> dict[str, str]:
    """Map each series to the file of its largest level; ``changed_ns`` makes the cache forget a folder that changed."""
    best: dict[str, tuple[int, str]] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.name.startswith('.') or not entry.is_file() or not is_dicom(path):
            continue
        try:
            header = read_dicom_header(path)
        except ImageError:
            # Who opens this very file is told; the slides beside it are whole.
            continue
        if header.is_level and header.total_columns > best.get(header.series_uid, (-1, ''))[0]:
            best[header.series_uid] = header.total_columns, entry.name
    return {series: name for series, (_, name) in best.items()}


def _text(value: bytes) -> str:
    return value.decode('ascii', errors='replace').strip(' \0')


def _read_values(file: IO[bytes]) -> dict[tuple[int, int], bytes]:
    """Read the values of the elements up to the total size of the level, except nested ones."""
    if file.read(132)[128:] != b'DICM':
        raise ValueError('no DICM at byte 128')
    values: dict[tuple[int, int], bytes] = {}
    # The file's own group is always explicit; the rest as the transfer syntax says.
    is_explicit = True
    is_meta = True
    while True:
        begin = file.tell()
        tag, vr, length = _element(file, is_explicit)
        if tag is None or tag > _TOTAL_COLUMNS:
            return values
        if is_meta and tag[0] != 0x0002:
            syntax = _text(values.get(_TRANSFER_SYNTAX, b''))
            if syntax in (_DEFLATED, _EXPLICIT_BIG_ENDIAN):
                raise ValueError(f'transfer syntax {syntax} is not supported')
            is_meta, is_explicit = False, syntax != _IMPLICIT_LITTLE_ENDIAN
            file.seek(begin)
        elif length == _UNDEFINED_LENGTH:
            _skip_sequence(file, is_explicit and vr != b'UN')
        elif length <= _MAX_VALUE_BYTES:
            values[tag] = file.read(length)
            if len(values[tag]) < length:
                raise ValueError('it ends early')
        else:
            file.seek(length, os.SEEK_CUR)


def _element(file: IO[bytes], is_explicit: bool) -> tuple[tuple[int, int] | None, bytes, int]:
    """Read tag, type and length of the next element; the tag is None at the end of the file."""
    head = file.read(8)
    if not head:
        return None, b'', 0
    group, element, length = struct.unpack('<HHI', head)
    if group == 0xFFFE or not is_explicit:
        return (group, element), b'', length
    vr = head[4:6]
    if vr in _LONG_VRS:
        return (group, element), vr, struct.unpack('<I', file.read(4))[0]
    return (group, element), vr, struct.unpack('<H', head[6:])[0]


def _skip_sequence(file: IO[bytes], is_explicit: bool, nesting: int = 0) -> None:
    if nesting > _MAX_NESTING:
        raise ValueError('sequences are nested too deeply')
    for tag, length in _tags(file):
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise ValueError(f'a sequence holds ({tag[0]:04x},{tag[1]:04x})')
        if length == _UNDEFINED_LENGTH:
            _skip_item(file, is_explicit, nesting)
        else:
            file.seek(length, os.SEEK_CUR)


def _tags(file: IO[bytes]) -> Iterator[tuple[tuple[int, int], int]]:
    while True:
        tag, _, length = _element(file, is_explicit=False)
        if tag is None:
            raise ValueError('it ends inside a sequence')
        yield tag, length


def _skip_item(file: IO[bytes], is_explicit: bool, nesting: int) -> None:
    while True:
        tag, vr, length = _element(file, is_explicit)
        if tag is None:
            raise ValueError('it ends inside a sequence')
        if tag == _ITEM_END:
            return
        if length == _UNDEFINED_LENGTH:
            _skip_sequence(file, is_explicit and vr != b'UN', nesting + 1)
        else:
            file.seek(length, os.SEEK_CUR)
