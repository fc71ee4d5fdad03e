"""Tells the C library to keep freed memory."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let glibc keep large freed blocks for the next batch instead of giving them back to the kernel.

    A training step on the CPU frees and allocates the same hundreds of megabytes again and again; otherwise, every page
    would cause a page fault each time (about a third of the time of a step on small machines).

    Returns:
        Whether the C library agreed; False where it is not glibc.
    """
    if not sys.platform.startswith('linux'):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, 'gnu_get_libc_version'):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28))
    return all(library.mallopt(key, value) == 1 for key, value in settings)
