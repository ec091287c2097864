"""Time for a test: it stands still until the test moves it, or until everybody waits for it.

Wall and monotonic times in microseconds; `wait` and `advance` in seconds.
"""

from __future__ import annotations

import threading
from pathlib import Path

from wildfire_ingest.clock import SECOND_US

_TASKS = Path("/proc/self/task")

START_US = 1_767_225_600 * SECOND_US
"""2026-01-01T00:00:00Z."""


class FakeClock:
    """A `clock.Clock` without waiting; safe for several threads.

    `jumps=True`: when nobody has looked at the clock for `quiet_s` real seconds, and no other
    thread runs or wants to, time jumps to the earliest moment that somebody waits for; 0 suits a
    test of one thread.  `jumps=False`:
    only `advance` moves it.  `waits` lists what was asked to be waited, in seconds.
    """

    def __init__(
        self, start_us: int = START_US, *, jumps: bool = True, quiet_s: float = 0.005
    ) -> None:
        self.waits: list[float] = []
        self._jumps = jumps
        self._pause_s = quiet_s if jumps else 0.001
        self._wall_us = start_us
        self._monotonic_us = 0
        self._lock = threading.Lock()
        self._looks = 0
        self._deadlines: dict[object, int] = {}

    def now_us(self) -> int:
        """Wall time; also says that somebody is at work."""
        with self._lock:
            self._looks += 1
            return self._wall_us

    def monotonic_us(self) -> int:
        """Time since the clock was made; also says that somebody is at work."""
        with self._lock:
            self._looks += 1
            return self._monotonic_us

    def advance(self, seconds: float) -> None:
        """Move the time; whoever waited for it goes on."""
        with self._lock:
            self._move(round(seconds * SECOND_US))

    def set_wall(self, now_us: int) -> None:
        """Somebody sets the machine's clock, also back; monotonic time does not notice."""
        with self._lock:
            self._wall_us = now_us

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or the time has come; True when it is set."""
        mine = object()
        with self._lock:
            self._looks += 1
            self.waits.append(seconds)
            deadline_us = self._monotonic_us + round(max(0.0, seconds) * SECOND_US)
            self._deadlines[mine] = deadline_us
            looks = self._looks
        try:
            while not event.wait(self._pause_s if seconds > 0 else 0.0):
                with self._lock:
                    if self._has_come(deadline_us, quiet=looks == self._looks):
                        break
                    looks = self._looks
            return event.is_set()
        finally:
            with self._lock:
                self._looks += 1
                del self._deadlines[mine]

    def _has_come(self, deadline_us: int, *, quiet: bool) -> bool:
        first = deadline_us == min(self._deadlines.values())
        if self._jumps and quiet and first and deadline_us > self._monotonic_us:
            if self._pause_s and somebody_works():
                return False
            self._move(deadline_us - self._monotonic_us)
        return self._monotonic_us >= deadline_us

    def _move(self, by_us: int) -> None:
        self._wall_us += by_us
        self._monotonic_us += by_us


def somebody_works() -> bool:
    """Whether another thread of this process runs, waits for a processor or for the disk.

    On a busy machine a thread may not get its turn for long; that is no quiet.  Linux, proc(5);
    elsewhere nobody can tell.
    """
    own = str(threading.get_native_id())
    try:
        return any(_state(task) in "RD" for task in _TASKS.iterdir() if task.name != own)
    except OSError:
        return False


def _state(task: Path) -> str:
    try:
        return chr((task / "stat").read_bytes().rpartition(b") ")[2][0])
    except (OSError, IndexError):  # it has ended
        return "X"
