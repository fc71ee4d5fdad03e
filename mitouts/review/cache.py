"""Keeps decoded images and encoded crops for the next request, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar('Value')


class ByteCache(Generic[Value]):
    """The most recently used values; threads may share it.

    Args:
        max_bytes: Of all values together. A single value that is larger is kept, alone.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value, which counts as used by that; None where it is not kept."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Value, num_bytes: int) -> None:
        """Keep a value, and let the least recently used ones go for it."""
        self.make_room(num_bytes)
        with self._lock:
            self._bytes += num_bytes - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = (value, num_bytes)

    def make_room(self, num_bytes: int) -> None:
        """Let values go until one of this size fits, before it takes up memory."""
        with self._lock:
            while self._entries and self._bytes + num_bytes > self._max_bytes:
                self._bytes -= self._entries.popitem(last=False)[1][1]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_bytes(self) -> int:
        """Of all values together."""
        return self._bytes
