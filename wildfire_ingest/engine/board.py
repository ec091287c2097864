"""What the threads of one source share: the queue over the spool, the throttle, who waits.

One lock guards it all; nothing slow happens under it but the spool's own small reads.  Waiting
goes through the clock, so that a test decides how fast time passes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from wildfire_ingest.clock import SECOND_US, Clock
from wildfire_ingest.dispatch import throttle
from wildfire_ingest.dispatch.queue import LoadQueue, QueueCounts
from wildfire_ingest.dispatch.throttle import Pause, ThrottleReport, ThrottleState
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.offset import LANES, PUBLISHERS, PublisherName
from wildfire_ingest.record import Lane, Load

_IDLE_S = 30.0
_FULL = 256


@dataclass(frozen=True, slots=True)
class Batch:
    """What a publisher takes for one transaction, or how long it waits; both empty = finished."""

    loads: tuple[Load, ...] = ()
    wait_s: float | None = None
    throttled: bool = False


class Board:
    """Shared by one poller, two publishers and those who look after them."""

    def __init__(self, settings: EngineSettings, spool: Spool, clock: Clock) -> None:
        self._settings = settings
        self._spool = spool
        self._clock = clock
        self._queue = LoadQueue(settings.queue)
        self._throttle = ThrottleState()
        self._lock = threading.Lock()
        self._news = {publisher: threading.Event() for publisher in PUBLISHERS}
        self._stopped = threading.Event()
        self._offered = dict.fromkeys(Lane, 0)
        self._in_flight: dict[PublisherName, tuple[Load, ...]] = {}
        self._leaving: set[Lane] = set()
        """Lanes of which loads are being evicted: nothing of them is taken meanwhile."""
        self._draining = False

    def wake(self) -> None:
        """There is news: new loads, a new lag, an end."""
        for news in self._news.values():
            news.set()

    def drain(self) -> None:
        """No more polls: what waits goes at once, then the publishers end."""
        with self._lock:
            self._draining = True
        self.wake()

    def stop(self) -> None:
        """End now; what waits stays spooled."""
        self._stopped.set()
        self.wake()

    @property
    def stopping(self) -> bool:
        return self._stopped.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until the end; True = go on."""
        return not self._clock.wait(self._stopped, seconds)

    def wait_for_change(self, publisher: PublisherName, seconds: float) -> None:
        """Wait until something has changed since this publisher's last batch, at most so long."""
        self._clock.wait(self._news[publisher], seconds)

    def next_batch(
        self, publisher: PublisherName, lanes: Sequence[Lane] | None = None, *, wait: bool = True
    ) -> Batch:
        """Wait until this publisher has something to send; an empty one ends it."""
        while True:
            self._news[publisher].clear()  # before looking: what comes later sets it again
            with self._lock:
                if self.stopping:
                    return Batch()
                batch = self._batch(publisher, LANES[publisher] if lanes is None else lanes)
                if batch.loads or batch.throttled or batch.wait_s is None or not wait:
                    self._in_flight[publisher] = batch.loads
                    return batch
            self._clock.wait(self._news[publisher], batch.wait_s)

    def _batch(self, publisher: PublisherName, lanes: Sequence[Lane]) -> Batch:
        self._refill(LANES[publisher])
        now_us = self._clock.now_us()
        free = [lane for lane in lanes if lane not in self._leaving]
        due_us = self._queue.until_due_us(free, now_us)
        if due_us is None:
            ends = self._draining and len(free) == len(lanes)
            return Batch(wait_s=None if ends else _IDLE_S)
        if due_us > 0 and not self._draining:
            return Batch(wait_s=due_us / SECOND_US)
        return self._throttled(free, self._clock.monotonic_us())

    def _throttled(self, lanes: Sequence[Lane], now_us: int) -> Batch:
        """CRITICAL goes in any case, and alone: its transaction is small and soon committed.

        Of the others those go whose consumers keep up.
        """
        if Lane.CRITICAL in lanes and (urgent := self._queue.take((Lane.CRITICAL,))):
            return Batch(tuple(urgent))
        limits: dict[Lane, int] = {}
        until_us: list[int] = []
        for lane in lanes:
            if not self._queue.waits(lane):
                continue
            verdict = throttle.decide(
                self._settings.throttle, self._throttle, lane=lane, now_us=now_us
            )
            if isinstance(verdict, Pause):
                until_us.append(verdict.until_us)
            else:
                limits[lane] = verdict.at_most
        if limits:
            at_most = min(*limits.values(), self._settings.bulk_max_records)
            loads = self._queue.take(
                tuple(limits), max_records=at_most, max_bytes=self._settings.bulk_max_bytes
            )
            return Batch(tuple(loads))
        wait_s = max(0.001, (min(until_us) - now_us) / SECOND_US)
        return Batch(wait_s=wait_s, throttled=True)

    def settled(self, publisher: PublisherName, sent: Sequence[Load]) -> None:
        """A publisher is done with its batch: these went out, the rest comes back."""
        gone = {(load.lane, load.seq) for load in sent}
        now_us = self._clock.monotonic_us()
        with self._lock:
            held = self._in_flight.pop(publisher, ())
            self._queue.put_back([load for load in held if (load.lane, load.seq) not in gone])
            for lane in Lane:
                n = sum(load.records for load in sent if load.lane is lane)
                if n:
                    self._throttle = throttle.sent(
                        self._settings.throttle, self._throttle, n, now_us, lane=lane
                    )
        self.wake()

    def observe_lag(self, lane: Lane, lag: int | None) -> None:
        """A new sample of a lane's consumer lag."""
        with self._lock:
            self._throttle = throttle.observe(
                self._settings.throttle,
                self._throttle,
                lag,
                self._clock.monotonic_us(),
                lane=lane,
            )
        self.wake()

    def throttle_report(self) -> ThrottleReport:
        """The throttle in words."""
        with self._lock:
            return throttle.report(
                self._settings.throttle, self._throttle, self._clock.monotonic_us()
            )

    def counts(self) -> QueueCounts:
        """The queue in numbers."""
        with self._lock:
            return self._queue.counts()

    def in_flight(self) -> frozenset[tuple[Lane, int]]:
        """Loads that a transaction may hold: none of them may be evicted."""
        with self._lock:
            return frozenset(
                (load.lane, load.seq) for loads in self._in_flight.values() for load in loads
            )

    def withdraw(self, loads: Sequence[Load]) -> list[Load]:
        """Those that no transaction holds; nothing of their lanes is taken until `forget`.

        A later load of a lane must not go before: publishing it marks all that came earlier.
        """
        with self._lock:
            held = {(x.lane, x.seq) for taken in self._in_flight.values() for x in taken}
            free = [load for load in loads if (load.lane, load.seq) not in held]
            self._leaving = {load.lane for load in free}
            return free

    def forget(self, evicted: Sequence[Load]) -> None:
        """Eviction is over: these went, the others go on as before."""
        with self._lock:
            self._queue.drop(evicted)
            self._leaving = set()
        self.wake()

    def _refill(self, lanes: Sequence[Lane]) -> None:
        """Offer what the spool holds beyond what was offered, while there is room."""
        for lane in lanes:
            while True:
                loads = self._spool.pending(lane, self._offered[lane], _FULL)
                taken = 0
                for load in loads:
                    if not self._queue.offer(load):
                        break
                    self._offered[lane] = load.seq
                    taken += 1
                if taken < _FULL:
                    break
