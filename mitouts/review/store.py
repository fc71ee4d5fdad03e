"""Stores a review in a database: items that never change, and an append-only log of the raters' decisions."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

from mitouts.errors import ReviewError
from mitouts.review.items import Item, Point
from mitouts.review.labels import (
    Label,
    NothingToUndoError,
    RequestConflictError,
    Role,
    StoreUnavailableError,
    UnknownItemError,
)
from mitouts.review.records import Decision, LogEntry, Undone, check_entry, read_entry
from mitouts.utils.version import code_version

APPLICATION_ID = 0x4D495453
"""Marks the file as a review database (SQLite's ``application_id``)."""
SCHEMA_VERSION = 1
_BUSY_MS = 5000


class ReviewStore:
    """A review's database. Methods may be called from any thread, and several processes may have the file open.

    Use :meth:`create` or :meth:`open`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        meta = {key: json.loads(value) for key, value in connection.execute('SELECT key, value FROM meta')}
        self.database_id: str = meta['database_id']
        self.provenance: dict[str, Any] = meta['provenance']
        rows = connection.execute('SELECT content FROM items ORDER BY item_id')
        self.items: tuple[Item, ...] = tuple(_read_item(content) for (content,) in rows)
        self._by_id = {item.item_id: item for item in self.items}

    @classmethod
    def create(cls, path: str | os.PathLike[str], items: Sequence[Item], provenance: Mapping[str, Any]) -> ReviewStore:
        """Create the database of a review.

        Args:
            path: File; it must not exist.
            provenance: Origin of the items; ``teacher_sha256`` is copied into every decision.

        Raises:
            ReviewError: The file exists, cannot be written, or there are no items.
        """
        path = Path(path)
        if path.exists():
            raise ReviewError(f'{path} exists already; open it, or name another file')
        if not items:
            raise ReviewError('a review needs at least one item')
        # Made aside and renamed, so that a review interrupted in its beginning is not taken for one.
        aside = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
        try:
            with closing(_connect(aside)) as connection:
                connection.executescript(resources.files(__package__).joinpath('schema.sql').read_text('utf-8'))
                connection.execute(f'PRAGMA application_id = {APPLICATION_ID}')
                connection.execute(f'PRAGMA user_version = {SCHEMA_VERSION}')
                connection.execute('BEGIN')
                meta = {'database_id': secrets.token_hex(8), 'provenance': {**provenance, 'num_items': len(items)}}
                connection.executemany(
                    'INSERT INTO meta VALUES (?, ?)', [(key, json.dumps(value)) for key, value in meta.items()]
                )
                connection.executemany(
                    'INSERT INTO items VALUES (?, ?)', [(item.item_id, json.dumps(asdict(item))) for item in items]
                )
                connection.execute('COMMIT')
            _move(aside, path)
        except FileExistsError as error:
            raise ReviewError(f'{path} exists already; open it, or name another file') from error
        except (OSError, sqlite3.Error) as error:
            raise ReviewError(f'{path} cannot be written: {error}') from error
        finally:
            for name in (aside, *(aside.with_name(aside.name + end) for end in ('-wal', '-shm', '-journal'))):
                name.unlink(missing_ok=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ReviewStore:
        """Open the database of a review.

        Raises:
            ReviewError: The file is missing, is none, or was made by another version.
        """
        path = Path(path)
        if not path.is_file():
            raise ReviewError(f'{path}: no such file; mitouts review serve makes one')
        try:
            connection = _connect(path)
            try:
                (found,) = connection.execute('PRAGMA application_id').fetchone()
                (version,) = connection.execute('PRAGMA user_version').fetchone()
                if found != APPLICATION_ID:
                    raise ReviewError(f'{path} is a database, but not one of a review')
                if version != SCHEMA_VERSION:
                    raise ReviewError(
                        f'{path} has the layout {version} of review databases, this version of mitouts reads '
                        f'{SCHEMA_VERSION}: use the version that made it'
                    )
                connection.execute('PRAGMA journal_mode = WAL')
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ReviewError(f'{path} cannot be read as the database of a review: {error}') from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> ReviewStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def item(self, item_id: int) -> Item:
        """Return the item of this number.

        Raises:
            UnknownItemError: There is none.
        """
        try:
            return self._by_id[item_id]
        except KeyError as error:
            raise UnknownItemError(f'there is no item {item_id}; they go from 1 to {len(self.items)}') from error

    def decide(
        self,
        *,
        request: str,
        rater: str,
        item_id: int,
        label: Label,
        moved_px: Point | None = None,
        added_px: Sequence[Point] = (),
        seconds: float | None = None,
        blinded: bool,
        role: Role = 'rater',
    ) -> Decision:
        """Record a decision; it is on disk when this returns.

        Args:
            request: Chosen by the caller, new for every decision; the same again gets the first answer.
            moved_px: ``(dx, dy)`` from the item's anchor.
            added_px: Further mitotic figures, ``(dx, dy)`` from the item's anchor.
            seconds: Seconds that the decision took.
            blinded: Whether label and prediction were hidden.
            role: ``tiebreaker`` for one who decides ties only.

        Raises:
            UnknownItemError: There is no such item.
            RequestConflictError: The request was used for something else.
            StoreUnavailableError: Nothing was written; try again.
            ReviewError: A value makes no sense.
        """
        item = self.item(item_id)
        check_entry(request, rater, role, label, [*added_px, *([] if moved_px is None else [moved_px])], seconds)
        content = {
            'action': 'decide',
            'rater': rater,
            'role': role,
            'item_id': item_id,
            'label': label,
            'moved': None if moved_px is None else json.dumps([float(value) for value in moved_px]),
            'added': json.dumps([[float(x), float(y)] for x, y in added_px]),
            'blinded': int(blinded),
        }
        with self._writing() as connection:
            known = self._answered(connection, request, content)
            if known is None:
                former = self._holds(connection, rater, item_id)
                content |= {'request': request, 'seconds': seconds, 'old_label': item.old_label}
                self._append(connection, {**content, 'previous': None if former is None else former['label']})
            row = connection.execute('SELECT * FROM log WHERE request = ?', (request,)).fetchone()
        return replace(read_entry(row).decision(), repeated=known is not None)

    def undo(self, *, request: str, rater: str, blinded: bool = True) -> Undone:
        """Take back the rater's last decision that has not been taken back; this is on disk when it returns.

        Raises:
            NothingToUndoError: There is none.
            RequestConflictError: The request was used for something else.
            StoreUnavailableError: Nothing was written; try again.
        """
        check_entry(request, rater, 'rater', 'unsure', (), None)
        with self._writing() as connection:
            known = self._answered(connection, request, {'action': 'undo', 'rater': rater})
            if known is None:
                last = connection.execute(
                    'SELECT * FROM standing WHERE rater = ? ORDER BY entry_id DESC LIMIT 1', (rater,)
                ).fetchone()
                if last is None:
                    raise NothingToUndoError(f'{rater} has no decision that is not taken back already')
                copied = {key: last[key] for key in ('role', 'item_id', 'old_label')}
                own = {'request': request, 'action': 'undo', 'rater': rater, 'blinded': int(blinded)}
                self._append(connection, {**own, **copied, 'previous': last['label'], 'undoes': last['entry_id']})
            row = connection.execute('SELECT * FROM log WHERE request = ?', (request,)).fetchone()
            now = self._holds(connection, rater, row['item_id'])
        decision = None if now is None else read_entry(now).decision()
        return Undone(row['entry_id'], row['item_id'], row['undoes'], decision, repeated=known is not None)

    def states(self, rater: str) -> dict[int, Decision]:
        """Return this rater's decision on each item by item id."""
        rows = self._rows('SELECT * FROM decisions WHERE rater = ? ORDER BY entry_id', (rater,))
        return {row['item_id']: read_entry(row).decision() for row in rows}

    def decisions(self) -> list[Decision]:
        """Return the current decisions of all raters, in the order in which they were made."""
        return [read_entry(row).decision() for row in self._rows('SELECT * FROM decisions ORDER BY entry_id')]

    def log(self, after: int = 0) -> Iterator[LogEntry]:
        """Return everything that was ever decided or taken back, in order.

        Args:
            after: Only what came after the entry of this number.
        """
        for row in self._rows('SELECT * FROM log WHERE entry_id > ? ORDER BY entry_id', (after,)):
            yield read_entry(row)

    def raters(self) -> list[str]:
        """List all raters who have decided something, in the order of their first decision."""
        return [row['rater'] for row in self._rows('SELECT rater FROM log GROUP BY rater ORDER BY min(entry_id)')]

    def ties(self) -> list[int]:
        """List the items that two or more raters have decided without a label reaching more than half of the votes.

        A vote is a decision for mitotic figure or look-alike; two who are unsure tie, too. Tiebreakers do not count.
        """
        votes: dict[int, list[str]] = defaultdict(list)
        for row in self._rows("SELECT item_id, label FROM decisions WHERE role = 'rater'"):
            votes[row['item_id']].append(row['label'])
        return sorted(
            item_id
            for item_id, labels in votes.items()
            if len(labels) >= 2 and labels.count('mitotic') == labels.count('look_alike')
        )

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreUnavailableError(f'the review database cannot be read just now ({error})') from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute('BEGIN IMMEDIATE')
                yield self._connection
                self._connection.execute('COMMIT')
            except sqlite3.Error as error:
                raise StoreUnavailableError(
                    f'the review database cannot be written just now ({error}); nothing was saved, try again'
                ) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute('ROLLBACK')

    def _append(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec='milliseconds')
        teacher = self.provenance.get('teacher_sha256')
        row = {**values, 'at': at, 'version': code_version(), 'teacher_sha256': teacher}
        names = ', '.join(row)
        connection.execute(f'INSERT INTO log ({names}) VALUES ({", ".join("?" * len(row))})', tuple(row.values()))

    @staticmethod
    def _answered(connection: sqlite3.Connection, request: str, content: Mapping[str, Any]) -> sqlite3.Row | None:
        row = connection.execute('SELECT * FROM log WHERE request = ?', (request,)).fetchone()
        if row is not None and any(row[key] != value for key, value in content.items()):
            raise RequestConflictError(f'the request {request!r} was used for another decision')
        return row

    @staticmethod
    def _holds(connection: sqlite3.Connection, rater: str, item_id: int) -> sqlite3.Row | None:
        return connection.execute(
            'SELECT * FROM standing WHERE rater = ? AND item_id = ? ORDER BY entry_id DESC LIMIT 1', (rater, item_id)
        ).fetchone()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.row_factory = sqlite3.Row
    # FULL: a commit in WAL mode is on disk when it returns, not at the next checkpoint.
    connection.execute('PRAGMA synchronous = FULL')
    connection.execute('PRAGMA foreign_keys = ON')
    return connection


def _move(aside: Path, path: Path) -> None:
    """Rename a file, but never over one that another process has made meanwhile (if the file system has links)."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:
        aside.rename(path)


def _read_item(content: str) -> Item:
    values = json.loads(content)
    # A database of an earlier version does not know where patches were cut from.
    for key in ('annotated_xy_px', 'predicted_xy_px', 'source_xy_px'):
        values[key] = None if values.get(key) is None else tuple(values[key])
    return Item(**values)
