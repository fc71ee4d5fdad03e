"""Which case trains, validates and tests: the partitions of the UTS paper, those the data sets publish, and your own.

A split is a function of the case alone, so that no case ever stands on two sides.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.exchange.coco import read_json

SPLITS = ('train', 'val', 'test')
NO_SPLIT = 'none'
IGNORE = 'ignore'


@dataclass(frozen=True)
class Partition:
    """One way of dividing a data set.

    Attributes:
        val: Cases that validate.
        test: Cases that test.
        source: Where it comes from.
        rest: The split of all other cases.
    """

    val: frozenset[str]
    test: frozenset[str]
    source: str
    rest: str = 'train'

    def split_of(self, case_id: str) -> str:
        """``train``, ``val`` or ``test``."""
        if case_id in self.val:
            return 'val'
        return 'test' if case_id in self.test else self.rest


def _numbered(numbers: Iterable[int], digits: int) -> frozenset[str]:
    return frozenset(f'{number:0{digits}d}' for number in numbers)


_MIDOGPP_TEST = (
    6, 7, 14, 15, 18, 26, 29, 31, 32, 35, 50, 52, 57, 58, 59, 64, 66, 74, 88, 93, 95, 100, 102, 104, 107, 109, 115, 116,
    123, 124, 128, 147, 150, 203, 212, 218, 220, 230, 232, 234, 236, 239, 241, 249, 251, 252, 253, 256, 257, 268, 269,
    276, 291, 292, 295, 305, 310, 311, 315, 329, 336, 338, 339, 344, 345, 346, 353, 354, 366, 368, 370, 373, 375, 383,
    386, 389, 390, 398, 413, 414, 419, 422, 425, 426, 427, 439, 442, 456, 458, 463, 472, 476, 477, 481, 484, 485, 487,
    491, 497, 504, 510, 512, 528, 531, 533, 534, 537, 538, 539, 541, 552,
)  # fmt: skip
# Every seventh of the training images, by number; the published division has no validation part.
_MIDOGPP_VAL = tuple(
    number for number in range(1, 554) if number % 7 == 0 and number not in _MIDOGPP_TEST and not 151 <= number <= 200
)
_CCMCT_TEST = (
    'be10fa37ad6e88e1f406', 'f3741e764d39ccc4d114', 'c86cd41f96331adf3856', '552c51bfb88fd3e65ffe',
    '8c9f9618fcaca747b7c3', 'c91a842257ed2add5134', 'dd4246ab756f6479c841', 'f26e9fcef24609b988be',
    '96274538c93980aad8d6', 'add0a9bbc53d1d9bac4c', '1018715d369dd0df2fc0',
)  # fmt: skip

_TUPAC16 = Partition(
    _numbered((30, 37, 44, 51, 58, 65, 72), 2), _numbered((31, 38, 45, 52, 59, 66, 73), 2), 'UTS paper'
)
_MIDOG21 = Partition(
    _numbered((*range(41, 46), *range(91, 96), *range(141, 146)), 3),
    _numbered((*range(46, 51), *range(96, 101), *range(146, 151)), 3),
    'UTS paper',
)

PARTITIONS: Mapping[str, Mapping[str, Partition]] = {
    'tupac16': {'paper': _TUPAC16},
    'mitos14': {
        # A03 and H03 are one biopsy under two scanners.
        'paper': Partition(_numbered((3,), 2), _numbered((4,), 2), 'UTS paper'),
    },
    'midog21': {'paper': _MIDOG21},
    'midogpp': {
        'published': Partition(
            _numbered(_MIDOGPP_VAL, 3),
            _numbered(_MIDOGPP_TEST, 3),
            'the data set (test); every seventh of the other images validates',
        ),
    },
    'amibr': {
        # Its cases are those of both sources, which number them with two and with three digits.
        'paper': Partition(
            _MIDOG21.val | _TUPAC16.val,
            _MIDOG21.test | _TUPAC16.test,
            'UTS paper: as the slides of MIDOG21 and TUPAC16',
        ),
    },
    'ccmct': {
        'paper': Partition(frozenset(), frozenset(), 'UTS paper: all slides are an external test', rest='test'),
        'published': Partition(frozenset(), frozenset(_CCMCT_TEST), 'the data set: 21 slides train, 11 test'),
    },
}
"""Data set -> name of the partition -> partition; the first one is the default."""


def default_partition(dataset: str) -> str:
    """Name of the partition that a data set is divided by unless another is asked for."""
    return next(iter(PARTITIONS.get(dataset, {NO_SPLIT: None})))


def assign_splits(
    dataset: str, images: Sequence[tuple[str, str]], wanted: str | os.PathLike[str]
) -> tuple[list[str | None], str]:
    """Give every image its split.

    Args:
        dataset: Key of :data:`PARTITIONS`; another name has no partition of its own.
        images: ``(case_id, file_name)`` of each.
        wanted: A partition's name, ``none``, or a file that :func:`read_split_file` reads.

    Returns:
        The split of each image (``ignore`` where a file says so, None for ``none``), and where they come from.

    Raises:
        AnnotationError: Neither a known partition nor a file, or a file that does not name every image, or that
            divides a case.
    """
    if str(wanted) == NO_SPLIT:
        return [None] * len(images), 'no split'
    known = PARTITIONS.get(dataset, {})
    if str(wanted) in known:
        partition = known[str(wanted)]
        return [partition.split_of(case_id) for case_id, _ in images], partition.source
    if not Path(wanted).is_file():
        names = ', '.join([*known, NO_SPLIT])
        raise AnnotationError(f'split {str(wanted)!r} of {dataset} is neither a file nor one of {names}')
    named = read_split_file(wanted)
    found = [_look_up(named, case_id, file_name) for case_id, file_name in images]
    missing = [file_name for (_, file_name), split in zip(images, found) if split is None]
    if missing:
        raise AnnotationError(
            f'{wanted}: says nothing of {len(missing)} of {len(images)} images, the first is {missing[0]}; name every '
            'case or file, or leave the others out with the split "ignore"'
        )
    _check_cases(wanted, images, found)
    return found, 'a split file'


def read_split_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a split file.

    Either JSON, ``{"train": [...], "val": [...], "test": [...]}``, or a table with a header, separated by comma,
    semicolon or tab, with a column ``case_id``, ``file_name`` or ``slide`` and a column ``split`` or ``dataset``.

    Returns:
        Name of a case or a file -> ``train``, ``val``, ``test`` or ``ignore``.

    Raises:
        AnnotationError: Another layout, an unknown split, or a name that stands in two splits.
    """
    path = Path(path)
    rows = _json_rows(path) if path.suffix.lower() == '.json' else _table_rows(path)
    named: dict[str, str] = {}
    for where, name, split in rows:
        split = split.strip().lower()
        if split not in (*SPLITS, IGNORE):
            raise AnnotationError(f'{path}: {where}: expected one of {", ".join(SPLITS)} or {IGNORE}, found {split!r}')
        if named.setdefault(name, split) != split:
            raise AnnotationError(f'{path}: {where}: {name} stands in {named[name]} and in {split}')
    if not named:
        raise AnnotationError(f'{path}: names no case')
    return named


def _json_rows(path: Path) -> list[tuple[str, str, str]]:
    document: Any = read_json(path)
    if not isinstance(document, dict) or not all(isinstance(names, list) for names in document.values()):
        raise AnnotationError(f'{path}: expected {{"train": [...], "val": [...], "test": [...]}} with names of cases')
    return [(f'{split}', str(name), split) for split, names in document.items() for name in names]


def _table_rows(path: Path) -> list[tuple[str, str, str]]:
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise AnnotationError(f'{path}: not a text file (byte {error.start} is not UTF-8)') from error
    header = text.strip().splitlines()[0] if text.strip() else ''
    delimiter = max(',;\t', key=header.count)
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter)
        table = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise AnnotationError(f'{path}: not a table: {error}') from error
    columns = [column.strip().lower() for column in table[0][1]] if table else []
    keys = [columns.index(name) for name in ('case_id', 'file_name', 'slide') if name in columns]
    splits = [columns.index(name) for name in ('split', 'dataset') if name in columns]
    if not keys or not splits:
        raise AnnotationError(
            f'{path}: expected a header with case_id, file_name or slide, and split or dataset, found {header[:80]!r}'
        )
    rows = []
    for line, row in table[1:]:
        if len(row) <= max(keys[0], splits[0]):
            raise AnnotationError(f'{path}: line {line} has {len(row)} columns, the header {len(columns)}')
        rows.append((f'line {line}', row[keys[0]].strip(), row[splits[0]]))
    return rows


def _look_up(named: Mapping[str, str], case_id: str, file_name: str) -> str | None:
    path = PurePosixPath(file_name)
    # The case comes before the bare stem: region 07 of case 01 is not case 07. And a table that went through a
    # spreadsheet says 1 for 001.
    names = [file_name, path.name, case_id, case_id.lstrip('0'), path.stem, path.stem.lstrip('0')]
    return next((named[name] for name in names if name in named), None)


def _check_cases(path: str | os.PathLike[str], images: Sequence[tuple[str, str]], found: Sequence[str | None]) -> None:
    first: dict[str, tuple[str | None, str]] = {}
    for (case_id, file_name), split in zip(images, found):
        before, other = first.setdefault(case_id, (split, file_name))
        if before != split:
            raise AnnotationError(
                f'{path}: case {case_id} stands in {before} ({other}) and in {split} ({file_name}); '
                'a case belongs to one split'
            )
