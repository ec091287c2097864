"""What the ticks of a poll sensor share: a limit of time, one at a time, and a memory.

Dagster stops waiting for a tick after a minute and leaves it running; the next one then overlaps
it.  So a tick ends by itself long before, and a second one of the same source is turned away.
The memory is the sensor's cursor: it holds no watermark, so losing it loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from msgspec import Meta

TICK_S = 20.0
"""No tick lasts longer."""
STOP_AFTER_S = 15.0
"""Asking and delivering are told to stop; the rest of TICK_S is for ending well."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
_LOCKS: dict[str, threading.Lock] = {}


class Memory(msgspec.Struct, frozen=True):
    """What one tick leaves for the next."""

    requested: Count = 0
    """Runs asked for until now: part of a run's key."""
    failed: Count = 0
    """Ticks in a row that failed."""
    api_errors: Count = 0
    """In those, since the last observation."""

    @property
    def is_told(self) -> bool:
        """Of the 1st, 2nd, 4th, 8th … failure in a row the asset's page is told."""
        return self.failed & (self.failed - 1) == 0

    @property
    def untold(self) -> int:
        """Failures since the one that was told before this one."""
        return max(1, self.failed // 2)

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


def remembered(cursor: str | None) -> Memory:
    """What the last tick left; nothing where a person wrote something else there."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Memory)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Memory()


@contextmanager
def alone(source_id: str) -> Iterator[bool]:
    """Whether no other tick of the source goes on in this process."""
    lock = _LOCKS.setdefault(source_id, threading.Lock())
    is_ours = lock.acquire(blocking=False)
    try:
        yield is_ours
    finally:
        if is_ours:
            lock.release()


@contextmanager
def time_limit(seconds: float) -> Iterator[threading.Event]:
    """An event that is set after so long."""
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()
