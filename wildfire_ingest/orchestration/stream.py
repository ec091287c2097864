"""One long run of one source inside Dagster: the engine in its threads, the run's life around it.

The main thread only waits and looks: for a signal, for what Dagster's records say of this run,
for a pause, for the end of its time; and it tells Dagster every window what was done.  A database
that hangs delays a look or a window, never a record.  Seconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wildfire_ingest.clock import SECOND_US, Clock
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.orchestration.own_run import End

LOG = logging.getLogger("wildfire_ingest.run")
WAIT_S = 1.0
LOOK_EVERY_S = 5.0
LOOK_AT_SWITCH_EVERY_S = 15.0


class Streaming(Protocol):
    """What a run needs of the engine."""

    def run_forever(self, stop: threading.Event, for_s: float | None = None) -> RunSummary: ...

    def snapshot(self) -> RunSummary: ...


class Life(Protocol):
    """What a run needs of Dagster's records of it: `own_run.OwnRun`."""

    def end_wanted(self) -> End | None: ...

    def end_wanted_by_switch(self) -> End | None: ...

    def beat(self, now_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often a long run does what."""

    max_run_s: float
    """Then it ends well, and its supervisor starts the next."""
    window_s: float
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run ended."""

    summary: RunSummary
    window: RunSummary
    """Since the last window that was told."""
    end: End | None
    """What ended it; None: a signal, or the engine by itself."""


class Stream:
    """One run, from its start to its outcome; for the main thread."""

    def __init__(
        self,
        engine: Streaming,
        own_run: Life,
        clock: Clock,
        rhythm: Rhythm,
        *,
        is_paused: Callable[[], str | None],
        tell: Callable[[RunSummary], None],
    ) -> None:
        """`is_paused` gives the reason of a pause; `tell` takes each window's numbers."""
        self._engine = engine
        self._own_run = own_run
        self._clock = clock
        self._rhythm = rhythm
        self._is_paused = is_paused
        self._tell = tell
        self._summary: RunSummary | None = None
        self._error: BaseException | None = None
        self._told = engine.snapshot()
        self._end: End | None = None

    def run(self, stop: threading.Event) -> Outcome:
        """Stream until something ends it; what waits is delivered or stays spooled."""
        thread = threading.Thread(target=self._work, args=(stop,), name="stream", daemon=True)
        begun_s = self._now_s()
        duties = self._duties(begun_s, stop)
        thread.start()
        while thread.is_alive():
            if stop.is_set():
                thread.join(WAIT_S)
            else:
                self._clock.wait(stop, WAIT_S)
                self._do_what_is_due(duties)
        if self._error is not None:
            raise self._error
        assert self._summary is not None  # noqa: S101 - the thread has ended without an error
        return Outcome(self._summary, self._summary.since(self._told), self._end)

    def _work(self, stop: threading.Event) -> None:
        try:
            self._summary = self._engine.run_forever(stop)
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            self._error = error
        finally:
            stop.set()

    def _duties(self, begun_s: float, stop: threading.Event) -> list[_Duty]:
        def ending(wanted: Callable[[], End | None]) -> Callable[[], None]:
            def look() -> None:
                end = wanted()
                if end is not None and self._end is None:
                    self._end = end
                    stop.set()

            return look

        ends_s = begun_s + self._rhythm.max_run_s
        return [
            _Duty(LOOK_EVERY_S, ending(self._own_run.end_wanted), begun_s),
            _Duty(LOOK_EVERY_S, ending(self._pause), begun_s),
            _Duty(LOOK_AT_SWITCH_EVERY_S, ending(self._own_run.end_wanted_by_switch), begun_s),
            _Duty(WAIT_S, ending(lambda: self._time_is_up(ends_s)), begun_s),
            _Duty(self._rhythm.heartbeat_s, self._beat, begun_s - self._rhythm.heartbeat_s),
            _Duty(self._rhythm.window_s, self._tell_window, begun_s),
        ]

    def _do_what_is_due(self, duties: list[_Duty]) -> None:
        for duty in duties:
            if self._now_s() - duty.last_s < duty.every_s:
                continue
            duty.last_s = self._now_s()
            try:
                duty.do()
            except Exception as error:  # noqa: BLE001 - Dagster's database may be away
                LOG.warning("Dagster did not answer (%s: %s)", type(error).__name__, error)

    def _pause(self) -> End | None:
        reason = self._is_paused()
        return None if reason is None else End("drain", f"paused {reason}".strip())

    def _time_is_up(self, ends_s: float) -> End | None:
        if self._now_s() < ends_s:
            return None
        return End("drain", f"its time is up after {self._rhythm.max_run_s:.0f} s")

    def _beat(self) -> None:
        self._own_run.beat(self._clock.now_us() / SECOND_US)

    def _tell_window(self) -> None:
        now = self._engine.snapshot()
        self._tell(now.since(self._told))
        self._told = now

    def _now_s(self) -> float:
        return self._clock.monotonic_us() / SECOND_US


@dataclass(slots=True)
class _Duty:
    """Something that is done every so often."""

    every_s: float
    do: Callable[[], None]
    last_s: float
