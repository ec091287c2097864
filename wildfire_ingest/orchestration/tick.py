"""What the ticks of a poll sensor share: a limit of time, one at a time, and a memory.

Dagster stops waiting for a tick after a minute and leaves it running; the next one then overlaps
it.  So a tick ends by itself long before, and a second one of the same source is turned away.
The memory is the sensor's cursor: it holds no watermark, so losing it loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

TICK_S = 20.0
"""No tick lasts longer."""
STOP_AFTER_S = 15.0
"""Asking and delivering are told to stop; the rest of TICK_S is for ending well."""
LEAVE_AFTER_S = 19.0
"""Work that has not ended by then, as no call into a frozen broker can be ended, is left behind."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
T = TypeVar("T")
_LOCKS: dict[str, threading.Lock] = {}
_WORK: dict[str, Future[Any]] = {}


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
    """Whether no other tick of the source goes on in this process, nor what one left behind."""
    lock = _LOCKS.setdefault(source_id, threading.Lock())
    is_ours = lock.acquire(blocking=False)
    try:
        yield is_ours and (source_id not in _WORK or _WORK[source_id].done())
    finally:
        if is_ours:
            lock.release()


def within(source_id: str, seconds: float, work: Callable[[], T]) -> T | None:
    """What `work` returns, or raises; None where that takes longer: then it goes on alone."""
    future: Future[T] = Future()

    def guarded() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    _WORK[source_id] = future
    threading.Thread(target=guarded, name=f"{source_id}-tick", daemon=True).start()
    done, _ = wait([future], timeout=max(0.0, seconds))
    return future.result() if done else None


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
