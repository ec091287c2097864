"""Freed memory goes back to the system: a run of hours would keep it, piece by piece.

librdkafka's and SQLite's buffers come and go on many threads, and glibc gives each thread an
arena from which it returns little by itself (malloc_trim(3)).
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return what is free, in a millisecond or two; nothing where the C library is not glibc."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
