"""What goes on beside polling and publishing: producers kept ready, lag and pace sampled, space
freed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.engine.board import Board
from wildfire_ingest.engine.events import Degraded
from wildfire_ingest.engine.pace import Sample, decoded, encoded, is_due, sampled
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.poll import PollTally
from wildfire_ingest.engine.publish import Undelivered
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.errors import DeliveryDenied, DeliveryError, SpoolFull, Superseded
from wildfire_ingest.offset import PUBLISHERS
from wildfire_ingest.record import Lane

_T = TypeVar("_T")
_RETRY_S = 1.0
_IDLE_S = 30.0


class Care:
    """Looks after one run of one source."""

    def __init__(
        self, settings: EngineSettings, parts: Parts, board: Board, polls: PollTally
    ) -> None:
        self._settings = settings
        self._polls = polls
        self._spool = parts.spool
        self._sink = parts.sink
        self._lag = parts.lag
        self._observer = parts.observer
        self._clock = parts.clock
        self._board = board
        self._ended = threading.Event()

    def stop(self) -> None:
        """End housekeeping."""
        self._ended.set()

    def persist(self, attempt: Callable[[], _T], stop: threading.Event) -> _T | None:
        """Try until the broker lets us; None when stopped.

        Raises what cannot pass, and Undelivered when a run may not wait any longer.
        """
        started_us = self._clock.monotonic_us()
        limit = self._settings.give_up_after_s
        said = ""
        while True:
            try:
                return attempt()
            except (Superseded, DeliveryDenied):
                raise
            except DeliveryError as error:
                if error.code != said:
                    said = error.code
                    reason = f"waiting for the broker: {error}"
                    self._observer.emit(Degraded(source_id=self._settings.source_id, reason=reason))
                waited_s = (self._clock.monotonic_us() - started_us) / SECOND_US
                if limit is not None and waited_s > limit:
                    n = sum(n for n, _ in self._spool.pending_totals().values())
                    raise Undelivered(
                        f"could not reach the broker for {limit:.0f} s; spooled {n} records; "
                        f"last: {error}"
                    ) from error
            if self._clock.wait(stop, _RETRY_S):
                return None

    def keep_producers_ready(self, ended: threading.Event) -> None:
        """T3: prepare what the publishers took, until the run ends."""
        while not ended.is_set() and not self._board.stopping:
            try:
                busy = sum(self._sink.prepare(publisher) for publisher in PUBLISHERS)
            except Superseded:
                raise
            except DeliveryError:  # the publishers meet it themselves and decide
                self._clock.wait(ended, _RETRY_S)
                continue
            if not busy:
                self._sink.wait_for_need(_IDLE_S, ended)

    def run(self) -> None:
        """Sample lag and pace and free what is published, until stopped."""
        sample_s = self._settings.throttle.sample_interval_s
        groups = self._settings.throttle.consumer_groups
        counted = bool(groups) and self._settings.throttle.enabled
        freed_us = self._clock.monotonic_us()
        self._keep_pace(only_if_due=True)
        while not self._ended.is_set():
            if counted:
                self._sample(groups)
            if self._clock.monotonic_us() - freed_us >= self._settings.housekeeping_s * SECOND_US:
                self._spool.free(self._clock.now_us())
                self._keep_pace()
                freed_us = self._clock.monotonic_us()
            self._clock.wait(self._ended, sample_s if counted else self._settings.housekeeping_s)
        self._spool.free(self._clock.now_us())
        self._keep_pace()

    def _keep_pace(self, *, only_if_due: bool = False) -> None:
        """Leave a sample of the totals with the spool, for whoever asks how fast it went."""
        pace, now_us = decoded(self._spool.meta("pace")), self._clock.now_us()
        if only_if_due and not is_due(pace, now_us):
            return
        totals = self._spool.ledger()
        sample = Sample(now_us, totals.fetched, totals.published)
        with suppress(SpoolFull):  # no more than a trace: it ends no run
            newest_s = self._polls.newest_observed_s
            self._spool.set_meta(pace=encoded(sampled(pace, sample, newest_s)))

    def _sample(self, groups: dict[str, tuple[str, ...]]) -> None:
        lags = self._lag.read({t: g for t, g in groups.items() if t in self._settings.topics})
        if not lags:
            return
        known = [lag for lag in lags.values() if lag is not None]
        worst = max(known) if len(known) == len(lags) else None
        for lane in (Lane.HIGH, Lane.NORMAL, Lane.LOW):
            self._board.observe_lag(lane, worst)
