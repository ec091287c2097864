"""One poll of one source: ask, read, judge, spool (T0 and T1)."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from wildfire_ingest.engine.conversation import as_nothing_new, converse
from wildfire_ingest.engine.events import Degraded, PollFailed, Spooled
from wildfire_ingest.engine.overflow import Room
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.errors import FetchError, SpoolFull
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.record import Decoded, Polled

SCHEMA_CHANGE_ROWS = 20
SCHEMA_CHANGE_PART = 0.2
"""At least so many rows with more than so large a part bad: the schema has changed."""


@dataclass(slots=True)
class PollTally:
    """What this run's polls did."""

    polls: int = 0
    empty: int = 0
    failed: int = 0
    cache_hits: int = 0
    newest_observed_s: int = 0


class Poller:
    """Polls one source; used by one thread."""

    def __init__(self, parts: Parts, room: Room, intake_lock: threading.Lock) -> None:
        self.tally = PollTally()
        self._source = parts.source
        self._fetcher = parts.fetcher
        self._intake = parts.intake
        self._spool = parts.spool
        self._observer = parts.observer
        self._clock = parts.clock
        self._crash = parts.crash
        self._room = room
        self._intake_lock = intake_lock

    def poll(self, stop: threading.Event) -> FetchError | SpoolFull | None:
        """One poll; the error that made it fail, after it was told to the observer."""
        self._crash("poll.before_fetch")
        try:
            polled = self._ask(stop)
        except FetchError as error:
            # A later poll, of other requests, must not vouch for what this one was handed.
            self._fetcher.abandoned()
            return self._failed(error, error.retry_after_s)
        if polled is None:
            self.tally.cache_hits += 1
            return None
        self._crash("poll.after_fetch")
        try:
            self._take_in(polled)
        except SpoolFull as error:
            self._fetcher.abandoned()
            return self._failed(error, None)
        return None

    def _failed(
        self, error: FetchError | SpoolFull, retry_after_s: float | None
    ) -> FetchError | SpoolFull:
        self.tally.failed += 1
        self._observer.emit(
            PollFailed(
                source_id=self._source.source_id,
                error_class=type(error).__name__,
                message=str(error),
                retry_after_s=retry_after_s,
            )
        )
        return error

    def _ask(self, stop: threading.Event) -> Polled | None:
        """The poll's rows; None when every answer came from the cache (no poll)."""
        cached: list[bool] = []

        def ask(request: Request) -> Answer:
            answer = self._fetcher.fetch(request, stop=stop, take_look=True)
            cached.append(answer.from_cache)
            return as_nothing_new(answer) if answer.from_cache else answer

        self._fetcher.serve(self._spool.spool_id)
        asking = self._source.poll(self._spool.cursor(), self._clock.now_us())
        polled = converse(asking, ask, self._fetcher)
        return None if cached and all(cached) else polled

    def _take_in(self, polled: Polled) -> None:
        with self._intake_lock:
            counts, loads = self._spool_it(polled, self._clock.now_us())
        self._told(polled.decoded, counts, loads)

    def _spool_it(self, polled: Polled, now_us: int) -> tuple[Ledger, int]:
        weighed = self._intake.weigh(polled.decoded, now_us)
        kept, refused = self._room.make(weighed.packed, now_us)
        counts = weighed.counts.plus(refused)
        self._crash("spool.before_commit")
        loads = self._spool.append(
            kept,
            polled.cursor,
            counts,
            now_us,
            quarantined=weighed.quarantined,
            originals=weighed.originals,
        )
        self._crash("spool.after_commit")
        self._intake.remember(weighed, now_us)
        self._fetcher.settled()
        return counts, len(loads)

    def _told(self, decoded: Decoded, counts: Ledger, loads: int) -> None:
        source_id = self._source.source_id
        self.tally.polls += 1
        self.tally.empty += not counts.accepted
        newest = max({r.observed_at_s for r in decoded.records}, default=0)
        self.tally.newest_observed_s = max(self.tally.newest_observed_s, newest)
        self._observer.emit(
            Spooled(source_id=source_id, counts=counts, loads=loads, notes=decoded.notes)
        )
        bad = len(decoded.rejects)
        if decoded.rows >= SCHEMA_CHANGE_ROWS and bad > SCHEMA_CHANGE_PART * decoded.rows:
            reason = f"{bad} of {decoded.rows} rows are bad: the answer's schema may have changed"
            self._observer.emit(Degraded(source_id=source_id, reason=reason))
