"""Caches decoded images and encoded crops up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar('Value')


class ByteCache(Generic[Value]):
    """Keeps the most recently used values; threads may share it.

    Args:
        max_bytes: Size of all values together. A single value that is larger is kept, alone.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """Return the value, and mark it as used; None if it is not cached."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Value, num_bytes: int) -> None:
        """Store a value, and drop the least recently used ones to make room."""
        self.make_room(num_bytes)
        with self._lock:
            self._bytes += num_bytes - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = (value, num_bytes)

    def make_room(self, num_bytes: int) -> None:
        """Drop values until one of this size fits, before it takes up memory."""
        with self._lock:
            while self._entries and self._bytes + num_bytes > self._max_bytes:
                self._bytes -= self._entries.popitem(last=False)[1][1]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_bytes(self) -> int:
        """Size of all values together, in bytes."""
        return self._bytes
