"""One publisher of one source: takes what is due, sends it in a transaction, marks it (T2 to T7).

After any failure nothing is assumed: `reconcile` reads what the broker committed (T4), what is
covered is marked, the rest goes again.  Whose fault it was decides how: a record that the broker
refuses is retried, then found and set aside (E1); an outage is waited out (E2); a fenced
producer asks who owns the source (E3); a refusal to let us in waits for a person (E4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.engine.board import Batch, Board
from wildfire_ingest.engine.events import (
    DeadLettered,
    Degraded,
    DeliveryFailed,
    Event,
    Paused,
    Published,
)
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.errors import (
    BrokerUnavailable,
    DeliveryDenied,
    DeliveryError,
    OutcomeUnknown,
    ProducerFenced,
    RecordRefused,
    Superseded,
)
from wildfire_ingest.intake.quarantine import quarantine_rows
from wildfire_ingest.offset import LANES, OffsetRecord, OffsetsView, PublisherName
from wildfire_ingest.record import DeadLetter, Lane, Load, Outgoing

_FENCED_WAIT_S = 2.0
_DENIED_WAIT_S = 5.0
_PROBE_WAIT_S = 1.0


class Undelivered(DeliveryError):
    """The run gave up: what it spooled waits for the next one."""


class Stopped(DeliveryError):
    """The run was asked to stop while it waited."""


@dataclass(slots=True)
class Tally:
    """What this publisher did in this run."""

    transactions: int = 0
    failures: int = 0
    records: int = 0
    retries: int = 0
    """Loads that were sent again after a failure."""
    pauses: int = 0
    """How often the throttle held it back."""
    topics: dict[str, int] = field(default_factory=dict)


class Publisher:
    """Runs in a thread of its own until the board says that there is no more."""

    def __init__(
        self, name: PublisherName, settings: EngineSettings, parts: Parts, board: Board
    ) -> None:
        self.name = name
        self.tally = Tally()
        self._settings = settings
        self._board = board
        self._spool = parts.spool
        self._sink = parts.sink
        self._observer = parts.observer
        self._clock = parts.clock
        self._crash = parts.crash
        self._read_from = 0
        self._refusals: dict[Lane, int] = {}
        self._held_until_us: dict[Lane, int] = {}
        self._failing_since_us: int | None = None
        self._failures_in_a_row = 0
        self._failed: set[tuple[Lane, int]] = set()
        """Loads that a failed transaction held."""

    def start_from(self, offset: int) -> None:
        """The end of the offsets partition that recovery has read."""
        self._read_from = offset

    def run(self) -> None:
        """Publish until finished.  Raises Superseded, Undelivered, SpoolCorrupt."""
        while True:
            lanes = self._lanes()
            batch = self._board.next_batch(self.name, lanes, wait=not self._held_until_us)
            if batch.loads:
                self._deliver(batch.loads)
            elif batch.throttled:
                self._wait_throttled(batch)
            elif self._held_until_us and not self._board.stopping:
                self._board.wait_for_change(self.name, self._held_left_s(batch))
            else:
                return

    def _lanes(self) -> tuple[Lane, ...]:
        """Lanes that may go now; one alone where the broker refused something of it."""
        now_us = self._clock.monotonic_us()
        self._held_until_us = {k: at for k, at in self._held_until_us.items() if at > now_us}
        free = [lane for lane in LANES[self.name] if lane not in self._held_until_us]
        suspects = [lane for lane in free if lane in self._refusals]
        alone = [lane for lane in suspects if self._spool.pending(lane, 0, 1)]
        return tuple(alone[:1] or free)

    def _held_left_s(self, batch: Batch) -> float:
        """Until the first held lane may go, or another lane's batch is due."""
        left_s = (min(self._held_until_us.values()) - self._clock.monotonic_us()) / SECOND_US
        return max(0.01, left_s if batch.wait_s is None else min(left_s, batch.wait_s))

    def _wait_throttled(self, batch: Batch) -> None:
        seconds = batch.wait_s or 0.0
        self.tally.pauses += 1
        report = self._board.throttle_report()
        if seconds >= 1.0:
            self._observer.emit(
                Paused(
                    source_id=self._settings.source_id,
                    publisher=self.name,
                    seconds=seconds,
                    lag=report.lag,
                )
            )
        self._board.wait_for_change(self.name, seconds)

    def _deliver(self, loads: Sequence[Load]) -> None:
        started_us = self._clock.monotonic_us()
        outgoing = [self._spool.read(load, self._settings.dlq_topic) for load in loads]
        through = {load.lane: load.seq for load in loads}
        self._count_retries(loads)
        try:
            offset = self._sink.send(self.name, outgoing, self._offsets(outgoing, through))
        except Superseded:
            raise
        except DeliveryError as error:
            self._after_failure(error, loads, outgoing)
            return
        self._mark(through, dict.fromkeys(through, offset))
        self._read_from = offset
        self._succeeded(loads, outgoing, started_us)

    def _mark(self, through: Mapping[Lane, int], offsets: Mapping[Lane, int]) -> None:
        self._crash("spool.before_published")
        self._spool.mark_published(through, self._clock.now_us(), offsets)
        self._crash("spool.after_published")

    def _succeeded(
        self, loads: Sequence[Load], outgoing: Sequence[Outgoing], started_us: int
    ) -> None:
        self._failing_since_us = None
        for load in loads:
            self._refusals.pop(load.lane, None)
        self._count(outgoing)
        self.tally.transactions += 1
        self._board.settled(self.name, loads)
        self._observer.emit(
            Published(
                source_id=self._settings.source_id,
                lanes=tuple(sorted({load.lane for load in loads})),
                records=sum(len(out) for out in outgoing),
                dead=sum(len(out.dead) for out in outgoing),
                duration_s=(self._clock.monotonic_us() - started_us) / SECOND_US,
            )
        )

    def _count_retries(self, loads: Sequence[Load]) -> None:
        again = self._failed.intersection((load.lane, load.seq) for load in loads)
        self.tally.retries += len(again)
        self._failed -= again

    def _count(self, outgoing: Sequence[Outgoing]) -> None:
        topics = self.tally.topics
        for out in outgoing:
            self.tally.records += len(out)
            for topic in set(out.topics):
                topics[topic] = topics.get(topic, 0) + list(out.topics).count(topic)

    def _offsets(
        self, outgoing: Sequence[Outgoing], through: dict[Lane, int]
    ) -> dict[Lane, OffsetRecord]:
        cursor = self._spool.safe_cursor(through)
        records = {}
        for lane in through:
            mine = [out for out in outgoing if out.lane is lane]
            before = self._spool.totals(lane)
            records[lane] = OffsetRecord(
                spool_id=self._spool.spool_id,
                owner=self._sink.owner,
                epoch=self._sink.epoch,
                seq=mine[-1].seq,
                sha256=mine[-1].sha256.hex(),
                safe_cursor=None if cursor is None else cursor.decode(),
                records=before.published + sum(len(out) for out in mine),
                dead=before.dead + sum(len(out.dead) for out in mine),
            )
        return records

    # failures

    def _after_failure(
        self, error: DeliveryError, loads: Sequence[Load], outgoing: Sequence[Outgoing]
    ) -> None:
        self._told(error)
        view = self._reconcile(error)
        sent = self._settle(view, loads)
        if sent:
            self._failing_since_us = None
            self._count([out for out, load in zip(outgoing, loads, strict=True) if load in sent])
        left = [load for load in loads if load not in sent]
        self._failed.update((load.lane, load.seq) for load in left)
        if isinstance(error, RecordRefused) and left:
            try:
                self._refused(error, left)
            except (BrokerUnavailable, OutcomeUnknown, ProducerFenced) as again:
                self._told(again)  # what was tried was never to be committed: only wait
                self._reconcile(again)
        self._board.settled(self.name, sent)

    def _told(self, error: DeliveryError) -> None:
        now_us = self._clock.monotonic_us()
        self.tally.failures += 1
        if self._failing_since_us is None:
            self._failing_since_us, self._failures_in_a_row = now_us, 0
        self._failures_in_a_row += 1
        self._observer.emit(
            DeliveryFailed(
                source_id=self._settings.source_id,
                publisher=self.name,
                error_class=type(error).__name__,
                message=str(error),
            )
        )

    def _reconcile(self, error: DeliveryError) -> OffsetsView:
        """T4, until the broker answers: never begin a transaction while an outcome is unknown."""
        while True:
            self._wait_out(error)
            try:
                return self._sink.reconcile(self.name, self._read_from, None)
            except Superseded:
                raise
            except DeliveryError as again:
                error = again
                self._told(error)

    def _wait_out(self, error: DeliveryError) -> None:
        """Wait as the error asks for; raises when the run ends or gives up."""
        self._give_up_in_time()
        if isinstance(error, ProducerFenced):
            self._pause(_FENCED_WAIT_S)
        elif isinstance(error, DeliveryDenied):
            self._observer.emit(Degraded(source_id=self._settings.source_id, reason=str(error)))
            self._pause(_DENIED_WAIT_S)
        elif isinstance(error, BrokerUnavailable | OutcomeUnknown):
            if self._failures_in_a_row > 1:  # it answers metadata and still takes nothing
                self._pause(_PROBE_WAIT_S)
            while not self._sink.reachable():
                self._give_up_in_time()
                self._pause(_PROBE_WAIT_S)

    def _pause(self, seconds: float) -> None:
        if not self._board.pause(seconds):
            raise Stopped("stopped while the broker was away; what is spooled stays spooled")

    def _give_up_in_time(self) -> None:
        limit, since = self._settings.give_up_after_s, self._failing_since_us
        if limit is None or since is None:
            return
        if self._clock.monotonic_us() - since > limit * SECOND_US:
            waiting = sum(n for n, _ in self._spool.pending_totals().values())
            raise Undelivered(f"could not deliver for {limit:.0f} s; spooled {waiting} records")

    def _settle(self, view: OffsetsView, loads: Sequence[Load]) -> list[Load]:
        """T7 for what the broker turned out to have committed; those loads."""
        own = {
            lane: stored
            for lane, stored in view.lanes.items()
            if lane in LANES[self.name] and stored.record.spool_id == self._spool.spool_id
        }
        through = {lane: stored.record.seq for lane, stored in own.items()}
        self._read_from = max(self._read_from, view.end)
        if through:
            self._mark(through, {lane: stored.offset for lane, stored in own.items()})
        return [load for load in loads if load.seq <= through.get(load.lane, 0)]

    # E1

    def _refused(self, error: RecordRefused, loads: Sequence[Load]) -> None:
        """Wait 1, 2, 4 s; then find the records that are refused and set them aside."""
        lane = loads[0].lane
        alone = all(load.lane is lane for load in loads)
        for suspect in {load.lane for load in loads}:
            self._refusals.setdefault(suspect, 0)
        if not alone:
            return
        self._refusals[lane] += 1
        attempt = self._refusals[lane]
        if attempt <= self._settings.max_retries:
            wait_s = self._settings.retry_backoff_base ** (attempt - 1)
            self._held_until_us[lane] = self._clock.monotonic_us() + int(wait_s * SECOND_US)
            return
        found = sum(self._find_poison(error, load, attempt) for load in loads)
        if not found:
            raise DeliveryDenied(
                f"{error}; yet the broker takes each record alone: a topic's max.message.bytes is "
                "below the producer's batch.size; lower kafka.client_config batch.size",
                code=error.code,
            )

    def _find_poison(self, error: RecordRefused, load: Load, attempts: int) -> int:
        out = self._spool.read(load, self._settings.dlq_topic)
        rows = self._bisect(out, [row for row in range(len(out)) if row not in out.dead])
        letters = {row: self._letter(error, out, row, attempts) for row in rows}
        if letters:
            self._take_out(load, letters, str(error))
        return len(letters)

    def _take_out(self, load: Load, letters: Mapping[int, DeadLetter], reason: str) -> None:
        """No transaction holds the load now: T4 came before."""
        source_id, n = self._settings.source_id, len(letters)
        if self._settings.dlq_enabled:
            self._spool.readdress(load, letters)
            told: Event = DeadLettered(
                source_id=source_id, lane=load.lane, records=n, reason=reason
            )
        else:
            now_us = self._clock.now_us()
            quarantine_rows(self._spool, load, letters, self._settings.dlq_topic, now_us)
            reason = f"{load.lane.name}: {n} records quarantined, dead letters are off: {reason}"
            told = Degraded(source_id=source_id, reason=reason)
        self._crash("dlq.after_readdress")
        self._observer.emit(told)

    def _bisect(self, out: Outgoing, rows: list[int]) -> list[int]:
        """The rows that the broker refuses, tried in transactions that are aborted."""
        if not rows or self._sink.accepts(self.name, out, rows):
            return []
        if len(rows) == 1:
            return rows
        middle = len(rows) // 2
        return self._bisect(out, rows[:middle]) + self._bisect(out, rows[middle:])

    def _letter(self, error: RecordRefused, out: Outgoing, row: int, attempts: int) -> DeadLetter:
        return DeadLetter(
            reason=str(error),
            error_class=error.code or "refused",
            stage="broker",
            original_topic=out.topics[row],
            first_failed_at_us=self._clock.now_us(),
            attempts=attempts,
        )
