"""DICOM files without pixels, written byte by byte as part 5 of the standard says."""

from __future__ import annotations

import struct
from pathlib import Path

WHOLE_SLIDE = '1.2.840.10008.5.1.4.1.1.77.1.6'
CT = '1.2.840.10008.5.1.4.1.1.2'
EXPLICIT, IMPLICIT = '1.2.840.10008.1.2.1', '1.2.840.10008.1.2'


def write_dicom(
    path: Path,
    series: str = '1.2.3',
    flavor: str = 'VOLUME',
    columns: int = 1000,
    *,
    class_uid: str = WHOLE_SLIDE,
    syntax: str = EXPLICIT,
) -> Path:
    """Write the header of an instance, with sequences of known and of unknown length before the series."""
    is_explicit = syntax == EXPLICIT
    inner = _element(0x0008, 0x1150, b'UI', b'1.2.9', is_explicit)
    item = struct.pack('<HHI', 0xFFFE, 0xE000, len(inner)) + inner
    open_item = struct.pack('<HHI', 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack('<HHI', 0xFFFE, 0xE00D, 0)
    open_end = struct.pack('<HHI', 0xFFFE, 0xE0DD, 0)
    body = b''.join(
        [
            _element(0x0008, 0x0008, b'CS', f'ORIGINAL\\PRIMARY\\{flavor}\\NONE'.encode(), is_explicit),
            _element(0x0008, 0x0016, b'UI', class_uid.encode(), is_explicit),
            _element(0x0008, 0x1110, b'SQ', item, is_explicit),
            _element(0x0008, 0x1115, b'SQ', open_item + item + open_end, is_explicit, has_length=False),
            _element(0x0020, 0x000E, b'UI', series.encode(), is_explicit),
            _element(0x0048, 0x0006, b'UL', struct.pack('<I', columns), is_explicit),
            _element(0x0048, 0x0007, b'UL', struct.pack('<I', columns), is_explicit),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(128) + b'DICM' + _element(0x0002, 0x0010, b'UI', syntax.encode(), True) + body)
    return path


def _element(group: int, element: int, vr: bytes, value: bytes, is_explicit: bool, *, has_length: bool = True) -> bytes:
    if vr != b'SQ' and len(value) % 2:
        value += b'\0' if vr == b'UI' else b' '
    length = len(value) if has_length else 0xFFFFFFFF
    if not is_explicit:
        return struct.pack('<HHI', group, element, length) + value
    if vr == b'SQ':
        return struct.pack('<HH2sHI', group, element, vr, 0, length) + value
    return struct.pack('<HH2sH', group, element, vr, length) + value
