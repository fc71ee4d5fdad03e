"""Records the finished steps of a run, line by line, so that a killed run can continue where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from mitouts.errors import MitoutsError


class Journal:
    """A file with a line for the run's arguments and one for each finished step.

    Args:
        path: File; an existing one is continued.
        stamp: All that the result depends on.
        other: How to treat a journal with another stamp: ``refuse`` raises an error, ``forget`` starts a new journal.

    Raises:
        MitoutsError: The file belongs to a run with another stamp, or is not a journal, and ``other`` is ``refuse``.
    """

    def __init__(
        self, path: str | os.PathLike[str], stamp: Mapping[str, Any], *, other: Literal['refuse', 'forget'] = 'refuse'
    ) -> None:
        self.path = Path(path)
        self._stamp = json.loads(json.dumps(stamp))
        self._other = other
        self._file: IO[str] | None = None
        self.steps: list[dict[str, Any]] = list(self._read()) if self.path.exists() else []

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Written anew, because a killed run may have left half a line at the end.
        aside = self.path.with_name(f'{self.path.name}.tmp')
        with aside.open('w', encoding='utf-8') as file:
            for line in ({'stamp': self._stamp}, *self.steps):
                file.write(json.dumps(line) + '\n')
        aside.replace(self.path)
        self._file = self.path.open('a', encoding='utf-8')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def add(self, step: dict[str, Any]) -> None:
        """Record a finished step."""
        assert self._file is not None
        self._file.write(json.dumps(step) + '\n')
        self._file.flush()
        self.steps.append(step)

    def _read(self) -> Iterator[dict[str, Any]]:
        lines = self.path.read_text(encoding='utf-8', errors='replace').split('\n')
        try:
            stamp = json.loads(lines[0])['stamp']
        except (ValueError, KeyError, TypeError):
            stamp = {}
        differing = sorted(key for key in {*stamp, *self._stamp} if stamp.get(key) != self._stamp.get(key))
        if differing and self._other == 'forget':
            return
        if differing:
            raise MitoutsError(
                f'{self.path.parent} holds an unfinished run with other arguments ({", ".join(differing)}); finish it '
                'with those, choose another --out, or add --overwrite'
            )
        for line in lines[1:]:
            try:
                step = json.loads(line)
            except ValueError:
                return
            yield step
