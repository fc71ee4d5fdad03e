"""Divides cases into training, validation and test, by the partitions of a data set or a split file of your own.

The split depends on the case alone, so that no case is ever in two splits. The one exception is a
:class:`WithinCasePartition`, whose validation images are of the cases that it trains on, and which says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json
from mitouts.formats.tables import Table, read_table

SPLITS = ('train', 'val', 'test')
NO_SPLIT = 'none'
IGNORE = 'ignore'
FILE_COLUMNS = ('file_name', 'slide')
SPLIT_COLUMNS = ('split', 'dataset')
_NAMED = 'case_id, file_name or slide,'


@dataclass(frozen=True)
class Partition:
    """One way of dividing a data set.

    Attributes:
        source: Origin of the partition.
        rest: The split of all other cases.
        left_out: Cases that are in no split.
    """

    val: frozenset[str]
    test: frozenset[str]
    source: str
    rest: str = 'train'
    left_out: frozenset[str] = frozenset()

    @property
    def within_cases(self) -> bool:
        """Whether images of one case both train and validate."""
        return False

    def split_of(self, case_id: str) -> str:
        """Return the split of a case: ``train``, ``val``, ``test``, or ``ignore`` for a case that is left out."""
        if case_id in self.left_out:
            return IGNORE
        if case_id in self.val:
            return 'val'
        return 'test' if case_id in self.test else self.rest

    def divide(self, images: Sequence[tuple[str, str]]) -> list[str]:
        """Return the split of every image, given as its case and its file name."""
        return [self.split_of(case_id) for case_id, _ in images]


def file_stem(file_name: str) -> str:
    """Return the name of a file without its folder and suffix."""
    return PurePosixPath(file_name).stem


@dataclass(frozen=True)
class WithinCasePartition(Partition):
    """Tests on whole cases, and validates on some images of each case that it trains on.

    For data sets of few cases, none of which can be spared for validation. What is chosen on the validation images
    (thresholds, the best epoch) is chosen on cases that the model knows; only the test is of unknown ones.

    Attributes:
        val_share: Share of the images of each training case that validate, rounded to the nearest number.
        key: What an image is called, given its file name. Of each case the first in the order of the SHA-256 of these
            names validate, so that the choice depends on nothing else. Images of one name are in one split.
    """

    val_share: float = 0.2
    key: Callable[[str], str] = file_stem

    @property
    def within_cases(self) -> bool:
        return True

    def divide(self, images: Sequence[tuple[str, str]]) -> list[str]:
        named: dict[str, set[str]] = {}
        for case_id, file_name in images:
            named.setdefault(case_id, set()).add(self.key(file_name))
        validating = {case_id: self._validating(names) for case_id, names in named.items()}
        splits = []
        for case_id, file_name in images:
            split = self.split_of(case_id)
            splits.append('val' if split == 'train' and self.key(file_name) in validating[case_id] else split)
        return splits

    def _validating(self, names: Iterable[str]) -> set[str]:
        ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        return set(ordered[: round(self.val_share * len(ordered))])


def numbered(numbers: Iterable[int], digits: int) -> frozenset[str]:
    """Return the names of numbered cases, such as ``007`` with three digits."""
    return frozenset(f'{number:0{digits}d}' for number in numbers)


def assign_splits(
    dataset: str,
    images: Sequence[tuple[str, str]],
    wanted: str | os.PathLike[str],
    partitions: Mapping[str, Partition] = MappingProxyType({}),
) -> tuple[list[str | None], str]:
    """Assign a split to every image.

    Args:
        dataset: Name of the data set, for the error message.
        wanted: A partition's name, ``none``, or a file that :func:`read_split_file` reads.
        partitions: Partitions that the data set comes with, by name.

    Returns:
        The split of each image (``ignore`` where a file says so, None for ``none``), and where they come from.

    Raises:
        AnnotationError: Neither a known partition nor a file, or a file that does not name every image, or that
            divides a case.
    """
    if str(wanted) == NO_SPLIT:
        return [None] * len(images), 'no split'
    if str(wanted) in partitions:
        partition = partitions[str(wanted)]
        return list(partition.divide(images)), partition.source
    if not Path(wanted).is_file():
        names = ', '.join([*partitions, NO_SPLIT])
        raise AnnotationError(f'split {str(wanted)!r} of {dataset} is neither a file nor one of {names}')
    named = read_split_file(wanted)
    splits = [_look_up(named, case_id, file_name) for case_id, file_name in images]
    missing = [file_name for (_, file_name), split in zip(images, splits) if split is None]
    if missing:
        raise AnnotationError(
            f'{wanted}: says nothing of {len(missing)} of {len(images)} images, the first is {missing[0]}; name every '
            'case or file, or leave the others out with the split "ignore"'
        )
    check_cases(wanted, images, splits)
    return splits, 'a split file'


def read_split_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a split file.

    Either JSON, ``{"train": [...], "val": [...], "test": [...]}``, or a table with a header, separated by comma,
    semicolon or tab, with a column ``file_name``, ``slide`` or ``case_id``, the first of them that there is, and a
    column ``split`` or ``dataset``. A table that names files may say their cases as well: :func:`read_cases`.

    Returns:
        Name of a case or a file -> ``train``, ``val``, ``test`` or ``ignore``.

    Raises:
        AnnotationError: Another layout, an unknown split, or a name that is in two splits.
    """
    path = Path(path)
    rows = _json_rows(path) if path.suffix.lower() == '.json' else _table_rows(path)
    named: dict[str, str] = {}
    for where, name, split in rows:
        split = split.strip().lower()
        if split not in (*SPLITS, IGNORE):
            raise AnnotationError(f'{path}: {where}: expected one of {", ".join(SPLITS)} or {IGNORE}, found {split!r}')
        if named.setdefault(name, split) != split:
            raise AnnotationError(f'{path}: {where}: {name} is in {named[name]} and in {split}')
    if not named:
        raise AnnotationError(f'{path}: names no case')
    return named


def read_cases(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the case of each file from a table with a column ``file_name`` (or ``slide``) and a column ``case_id``.

    Returns:
        Name of a file, with forward slashes -> its case.

    Raises:
        AnnotationError: It has no such columns or rows, a row without a case, or a file with two.
    """
    table = read_table(path, 'file_name and case_id')
    file_column, case_column = _column(table, FILE_COLUMNS), _column(table, ('case_id',))
    if file_column is None or case_column is None:
        raise AnnotationError(
            f'{path}: expected a header with file_name and case_id, found {table.separator.join(table.names)!r:.80}'
        )
    cases: dict[str, str] = {}
    for line, row in zip(table.lines, table.rows):
        name, case_id = row[file_column].replace('\\', '/'), row[case_column]
        if not name or not case_id:
            raise AnnotationError(f'{path}: line {line} names no {"case" if name else "file"}')
        if cases.setdefault(name, case_id) != case_id:
            raise AnnotationError(f'{path}: line {line}: {name} is of case {cases[name]} and of case {case_id}')
    if not cases:
        raise AnnotationError(f'{path}: names no file')
    return cases


def has_cases(path: str | os.PathLike[str]) -> bool:
    """Tell whether a split file is a table that also states the case of each file."""
    if Path(path).suffix.lower() == '.json':
        return False
    table = read_table(path)
    return _column(table, FILE_COLUMNS) is not None and _column(table, ('case_id',)) is not None


def cases_of(path: str | os.PathLike[str], file_names: Sequence[str]) -> list[str]:
    """Find the case of each image in a table that :func:`read_cases` reads.

    A file is found by its path, or by its name or stem alone where no other image has the same.

    Raises:
        AnnotationError: The table does not name all of them, or one of its names fits two.
    """
    cases = read_cases(path)
    keys = [next((key for key in _file_keys(name) if key in cases), None) for name in file_names]
    missing = [name for name, key in zip(file_names, keys) if key is None]
    if missing:
        raise AnnotationError(
            f'{path}: names no case for {len(missing)} of {len(keys)} images, the first is {missing[0]}; give each '
            'image a row with file_name and case_id'
        )
    first: dict[str | None, str] = {}
    for name, key in zip(file_names, keys):
        if first.setdefault(key, name) != name:
            raise AnnotationError(
                f'{path}: {key} can be {first[key]} and {name}: write the files with their folders there'
            )
    return [cases[str(key)] for key in keys]


def check_cases(
    path: str | os.PathLike[str],
    images: Sequence[tuple[str, str]],
    splits: Sequence[str | None],
    *,
    within_cases: bool = False,
) -> None:
    """Check that no case is in more than one split.

    Args:
        path: Partition or file that defines the splits, for the error message.
        splits: The split of each image.
        within_cases: Whether training and validation may share cases, which the test never may.

    Raises:
        AnnotationError: A case is in two splits; an image that is ignored is in none.
    """
    first: dict[str, tuple[str | None, str]] = {}
    for (case_id, file_name), split in zip(images, splits):
        if split == IGNORE:
            continue
        if within_cases and split == 'val':
            split = 'train'
        before, other = first.setdefault(case_id, (split, file_name))
        if before != split:
            raise AnnotationError(
                f'{path}: case {case_id} is in {before} ({other}) and in {split} ({file_name}); '
                'a case belongs to one split'
            )


def _json_rows(path: Path) -> list[tuple[str, str, str]]:
    document: Any = read_json(path)
    if not isinstance(document, dict) or not all(isinstance(names, list) for names in document.values()):
        raise AnnotationError(f'{path}: expected {{"train": [...], "val": [...], "test": [...]}} with names of cases')
    for split, names in document.items():
        wrong = [name for name in names if isinstance(name, bool) or not isinstance(name, (str, int))]
        if wrong:
            raise AnnotationError(f'{path}: {split}: expected names of cases or files, found {wrong[0]!r:.60}')
    return [(f'{split}', str(name), split) for split, names in document.items() for name in names]


def _table_rows(path: Path) -> list[tuple[str, str, str]]:
    table = read_table(path, f'{_NAMED} and split or dataset')
    name_column, split_column = _column(table, (*FILE_COLUMNS, 'case_id')), _column(table, SPLIT_COLUMNS)
    if name_column is None or split_column is None:
        raise AnnotationError(
            f'{path}: expected a header with {_NAMED} and split or dataset, found '
            f'{table.separator.join(table.names)!r:.80}'
        )
    return [
        (f'line {line}', row[name_column].replace('\\', '/'), row[split_column])
        for line, row in zip(table.lines, table.rows)
    ]


def _column(table: Table, names: Sequence[str]) -> int | None:
    """Return the position of the first of some columns that a table has, ignoring case; None if it has none."""
    columns = [name.casefold() for name in table.names]
    present = [name for name in names if name in columns]
    return columns.index(present[0]) if present else None


def _look_up(named: Mapping[str, str], case_id: str, file_name: str) -> str | None:
    path, *others = _file_keys(file_name)
    # The case comes before the bare stem: region 07 of case 01 is not case 07.
    keys = [path, PurePosixPath(file_name).name, case_id, case_id.lstrip('0'), *others]
    return next((named[key] for key in keys if key in named), None)


def _file_keys(file_name: str) -> list[str]:
    """Return the names that a table may use for a file: path, path without suffix, name, stem.

    The last one is the stem without leading zeros, because spreadsheets turn 001 into 1.
    """
    path = PurePosixPath(file_name)
    return [file_name, str(path.with_suffix('')), path.name, path.stem, path.stem.lstrip('0')]
