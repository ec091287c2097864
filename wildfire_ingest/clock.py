"""Time, as an argument: the only module that reads a clock or waits.

Wall times are integer microseconds since 1970-01-01T00:00:00Z; monotonic times are integer
microseconds from an arbitrary start.  Everything that decides takes `now` as a parameter.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

SECOND_US = 1_000_000


class Clock(Protocol):
    """What the engine needs of time; `testing.FakeClock` is the other implementation."""

    def now_us(self) -> int:
        """Wall time, microseconds since the epoch, UTC."""
        ...

    def monotonic_us(self) -> int:
        """A time that never goes back, in microseconds."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; True when it is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


def iso_utc(epoch_us: int) -> str:
    """`2026-11-23T18:40:00Z`, with six decimals where the microseconds are not zero."""
    moment = datetime.fromtimestamp(epoch_us // SECOND_US, UTC).replace(
        microsecond=epoch_us % SECOND_US, tzinfo=None
    )
    return moment.isoformat() + "Z"
