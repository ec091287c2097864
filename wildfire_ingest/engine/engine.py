"""One source, running: the threads, their order and their end.

A poller, two publishers, one that recovers and then prepares the next producers, one that looks
after lag and housekeeping; the calling thread only waits.  A blocked publisher never stops the
poller, a hung API never stops the publishers.  All three modes run this; a mode decides only
when and for how long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.engine.board import Board
from wildfire_ingest.engine.care import Care
from wildfire_ingest.engine.events import Degraded
from wildfire_ingest.engine.overflow import Room
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.poll import Poller
from wildfire_ingest.engine.publish import Publisher, Stopped, Undelivered
from wildfire_ingest.engine.recover import Permissions, Recovery
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.engine.summary import Ending, RunSummary, less, summed
from wildfire_ingest.errors import FetchError, IngestError, SpoolFull, Superseded
from wildfire_ingest.offset import PUBLISHERS

_BLOCKED_WAIT_S = 5.0


@dataclass(slots=True)
class _Run:
    """The state of one run."""

    stop: threading.Event
    recovered: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    poll_error: Exception | None = None


class Engine:
    """One source, one run."""

    def __init__(
        self, settings: EngineSettings, parts: Parts, permissions: Permissions | None = None
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = parts.clock
        self._board = Board(settings, parts.spool, parts.clock)
        self._room = Room(settings, parts, self._board)
        intake_lock = threading.Lock()
        self._poller = Poller(parts, self._room, intake_lock)
        self._publishers = [Publisher(name, settings, parts, self._board) for name in PUBLISHERS]
        self._recovery = Recovery(settings, parts, permissions or Permissions(), intake_lock)
        self._care = Care(settings, parts, self._board, self._poller.tally)
        self._before = parts.spool.ledger()
        self._asked_before = parts.fetcher.counters
        self._resolved_before = dict(parts.intake.resolutions())
        self._started_us: int | None = None
        self._used = False

    @property
    def board(self) -> Board:
        """For a status display."""
        return self._board

    def run_once(self, stop: threading.Event | None = None) -> RunSummary:
        """One poll, then everything that waits (also from earlier runs) is delivered."""
        return self._run(stop or threading.Event(), self._poll_once)

    def deliver_pending(self, stop: threading.Event | None = None) -> RunSummary:
        """No poll: only what waits is delivered."""
        return self._run(stop or threading.Event(), lambda _run: None)

    def run_forever(self, stop: threading.Event, for_s: float | None = None) -> RunSummary:
        """Poll at the interval until `stop`; then what waits is delivered."""
        return self._run(stop, lambda run: self._poll_on(run, for_s))

    def snapshot(self) -> RunSummary:
        """The run so far, for a metric or a display; safe from any thread."""
        return self._summary("running", "")

    # the run

    def _run(self, stop: threading.Event, polling: Callable[[_Run], None]) -> RunSummary:
        if self._used:
            raise RuntimeError("an Engine runs once: its board has ended; make another one")
        self._used = True
        self._started_us = self._clock.monotonic_us()
        run = _Run(stop)
        self._parts.intake.restore(self._parts.spool.index_rows())
        self._say_what_was_found()
        names = {"care": self._care.run, "prepare": lambda: self._prepare(run)}
        helpers = [self._thread(run, name, work) for name, work in names.items()]
        poller = self._thread(run, "poll", lambda: self._polling(run, polling))
        publishers = [
            self._thread(run, p.name, partial(self._publish, run, p)) for p in self._publishers
        ]
        for thread in (*publishers, *helpers, poller):
            thread.start()
        self._wait(run, [*publishers, poller])
        run.ended.set()
        self._care.stop()
        self._parts.sink.wake()
        for thread in (*publishers, poller, *helpers):
            thread.join()
        if isinstance(run.error, Superseded):
            self._keep_superseded(run.error)
        ending, message = _ending(run)
        return self._summary(ending, message)

    def _keep_superseded(self, error: Superseded) -> None:
        """E3: from now on only a person lets this spool publish again.

        Not where the spool carries that epoch already: then the newer owner works on this file.
        """
        if self._parts.spool.meta("epoch") != error.epoch:
            self._parts.spool.set_meta(superseded=error.epoch)

    def _say_what_was_found(self) -> None:
        if self._parts.spool.set_aside is not None:
            reason = f"the spool was damaged and moved to {self._parts.spool.set_aside}"
            self._parts.observer.emit(Degraded(source_id=self._settings.source_id, reason=reason))

    def _wait(self, run: _Run, threads: list[threading.Thread]) -> None:
        """Until all is delivered, something ended the run, or it was asked to stop and drained."""
        give_up_us: int | None = None
        while any(thread.is_alive() for thread in threads):
            now_us = self._clock.monotonic_us()
            if run.stop.is_set() and give_up_us is None:
                give_up_us = now_us + int(self._settings.drain_s * SECOND_US)
            if run.error is not None or (give_up_us is not None and now_us > give_up_us):
                run.stop.set()
                self._board.stop()
            for thread in threads:
                thread.join(0.05 if run.stop.is_set() else 0.5)
                if run.error is not None:
                    break

    def _thread(self, run: _Run, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - a thread's error is the run's
                if run.error is None:
                    run.error = error
                run.stop.set()
                run.recovered.set()
                self._board.stop()
                self._care.stop()

        thread_name = f"{self._settings.source_id}-{name}"
        return threading.Thread(target=guarded, name=thread_name, daemon=True)

    def _prepare(self, run: _Run) -> None:
        """Recover, let the publishers go, then keep producers ready."""
        end = self._care.persist(lambda: self._recovery.run(run.ended), run.stop)
        if end is None:
            self._board.stop()
            run.recovered.set()
            return
        for publisher in self._publishers:
            publisher.start_from(end)
        self._room.recovered = True
        run.recovered.set()
        self._care.keep_producers_ready(run.ended)

    def _publish(self, run: _Run, publisher: Publisher) -> None:
        run.recovered.wait()
        if not self._board.stopping:
            publisher.run()

    # polling

    def _polling(self, run: _Run, polling: Callable[[_Run], None]) -> None:
        if not self._parts.spool.meta("poll"):
            run.recovered.wait()  # a new spool may have to adopt what Kafka holds
        if not run.stop.is_set() or run.error is None:
            polling(run)
        self._board.drain()

    def _poll_once(self, run: _Run) -> None:
        if self._room.may_have_to_drop():
            run.recovered.wait()  # a single poll is not spent on a spool that must block
        if not run.stop.is_set():
            run.poll_error = self._poll(run)
            run.recovered.wait()
        if self._recovery.adopted and not run.stop.is_set():
            # What was polled before was quarantined with the old spool's loads.
            run.poll_error = self._poll(run)

    def _poll(self, run: _Run) -> FetchError | SpoolFull | None:
        """One poll; that it was stopped in its middle is no error."""
        error = self._poller.poll(run.stop)
        return None if run.stop.is_set() else error

    def _poll_on(self, run: _Run, for_s: float | None) -> None:
        interval_us = int(self._settings.polling_interval_s * SECOND_US)
        begin_us = self._clock.monotonic_us()
        end_us = None if for_s is None else begin_us + int(for_s * SECOND_US)
        due_us = begin_us
        while not run.stop.is_set():
            error = self._poll(run)
            self._board.wake()
            # A run without one good poll is no success, however it ends.
            done = self._poller.tally.polls + self._poller.tally.cache_hits
            run.poll_error = None if done else error
            due_us = self._next_poll_us(due_us, interval_us, error)
            if end_us is not None and due_us >= end_us:
                self._clock.wait(run.stop, (end_us - self._clock.monotonic_us()) / SECOND_US)
                return
            self._clock.wait(run.stop, (due_us - self._clock.monotonic_us()) / SECOND_US)

    def _next_poll_us(
        self, due_us: int, interval_us: int, error: FetchError | SpoolFull | None
    ) -> int:
        """The next beat of the interval; later where the source or the spool asks for it."""
        now_us = self._clock.monotonic_us()
        next_us = max(due_us + interval_us, now_us)  # beats that were missed are not made up for
        if isinstance(error, SpoolFull):
            return max(next_us, now_us + int(_BLOCKED_WAIT_S * SECOND_US))
        if isinstance(error, FetchError) and error.retry_after_s:
            return max(next_us, now_us + int(error.retry_after_s * SECOND_US))
        return next_us

    def _summary(self, ending: Ending, message: str) -> RunSummary:
        ledger, polls = self._parts.spool.ledger(), self._poller.tally
        delta, duration_s = ledger.minus(self._before), self._since_start_s()
        return RunSummary(
            source_id=self._settings.source_id,
            ending=ending,
            ledger=replace(delta, pending=ledger.pending),
            life=ledger,
            polls=polls.polls,
            empty_polls=polls.empty,
            failed_polls=polls.failed,
            cache_hits=polls.cache_hits,
            resolutions=less(self._parts.intake.resolutions(), self._resolved_before),
            total_sent=delta.published - delta.dead,
            uptime_s=duration_s,
            duration_s=duration_s,
            newest_observed_age_s=self._age_s(polls.newest_observed_s * SECOND_US),
            newest_row_age_s=self._age_s(self._parts.spool.meta("row_at_us")),
            newest_poll_age_s=self._age_s(self._parts.spool.meta("polled_at_us")),
            epoch=self._parts.sink.epoch,
            message=message,
            ledger_faults=ledger.faults(),
            **self._stages(),
        )

    def _stages(self) -> dict[str, Any]:
        """The counters of fetcher, publishers, queue and throttle, by their names in a summary."""
        asked, queue = self._parts.fetcher.counters, self._board.counts()
        published, throttle = [p.tally for p in self._publishers], self._board.throttle_report()
        return {
            "api_calls": asked.api_calls - self._asked_before.api_calls,
            "api_errors": asked.api_errors - self._asked_before.api_errors,
            "transactions": sum(tally.transactions for tally in published),
            "delivery_failures": sum(tally.failures for tally in published),
            "delivery_retries": sum(tally.retries for tally in published),
            "queue_size": queue.size,
            "queue_enqueued": queue.enqueued,
            "queue_dequeued": queue.dequeued,
            "queue_dropped": queue.dropped,
            "throttle_state": throttle.state,
            "throttle_level": throttle.level,
            "throttle_adjustments": throttle.adjustments,
            "throttle_pauses": sum(tally.pauses for tally in published),
            "consumer_lag": throttle.lag,
            "topics": summed(tally.topics for tally in published),
        }

    def _since_start_s(self) -> float:
        if self._started_us is None:
            return 0.0
        return (self._clock.monotonic_us() - self._started_us) / SECOND_US

    def _age_s(self, at_us: str | bytes | int | None) -> float | None:
        if not isinstance(at_us, int) or not at_us:
            return None
        return max(0.0, (self._clock.now_us() - at_us) / SECOND_US)


def _ending(run: _Run) -> tuple[Ending, str]:
    error = run.error
    match error:
        case None if run.poll_error is not None:
            return "failed", f"poll failed: {run.poll_error}"
        case None:
            return ("stopped" if run.stop.is_set() else "done"), ""
        case Superseded():
            return "superseded", str(error)
        case Undelivered() | Stopped():
            return "undelivered", str(error)
        case IngestError():
            return "failed", str(error)
        case _:
            return "failed", f"{type(error).__name__}: {error}"
