"""A broker for a test: what the delivery protocol needs of Kafka, in memory.

Transactional ids with epochs, open, aborted and committed transactions, an offsets partition
with its last stable offset; one partition a topic.  Sources: KIP-98, KIP-360.  Faults are
injected before the call that they hit; every method is safe for several threads.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from wildfire_ingest.errors import BrokerUnavailable, DeliveryError, OutcomeUnknown, ProducerFenced
from wildfire_ingest.offset import Claim, OffsetRecord, OffsetsView, Stored
from wildfire_ingest.record import DeadLetter, Lane

Outcome = Literal["committed", "aborted", "late"]


@dataclass(eq=False, slots=True)
class Batch:
    """One transaction: what it wrote is visible once it is committed."""

    transactional_id: str
    epoch: int
    state: Literal["open", "committed", "aborted"] = "open"
    records: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A record as a consumer sees it."""

    topic: str
    offset: int
    key: bytes
    value: bytes
    id: str
    """`<32 hex digits>.<revision>`."""
    type: str
    written_at_us: int = 0
    dead: DeadLetter | None = None

    def json(self) -> Any:
        """The value, read as JSON."""
        return msgspec.json.decode(self.value)


@dataclass(frozen=True, slots=True)
class ProducerEpoch:
    """A producer's id and the epoch it was initialised with."""

    transactional_id: str
    epoch: int


@dataclass(slots=True)
class _Log:
    entries: list[tuple[Any, Batch]] = field(default_factory=list)

    def committed(self) -> Iterator[Any]:
        return (entry for entry, batch in self.entries if batch.state == "committed")


class FakeKafka:
    """The broker that several FakeSinks share.

    A transaction that nobody ends is aborted when a reader has waited for it for
    `transaction_timeout_s` (real seconds), as the coordinator of a real broker does.
    """

    def __init__(self, *, transaction_timeout_s: float = 0.5) -> None:
        self._timeout_s = transaction_timeout_s
        self.cluster_id = uuid.uuid4().hex
        self.refuse: Callable[[Message], bool] = lambda _message: False
        """Which records the broker refuses, by whatever topic they are sent to."""
        self.late_ends_refused = 0
        self.calls = 0
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._topics: dict[str, _Log] = {}
        self._offsets = _Log()
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Batch] = {}
        self._late: list[tuple[ProducerEpoch, Literal["committed", "aborted"]]] = []
        self._outcomes: list[tuple[Outcome, DeliveryError]] = []
        self._failures: list[DeliveryError] = []
        self._away = 0

    # what a test looks at

    def visible(self, *topics: str) -> list[Message]:
        """What a read_committed consumer sees of these topics, or of all."""
        with self._lock:
            names = topics or tuple(self._topics)
            return [m for name in names for m in self._log(name).committed()]

    def written(self, *topics: str) -> list[Message]:
        """Also what open and aborted transactions wrote."""
        with self._lock:
            names = topics or tuple(self._topics)
            return [entry for name in names for entry, _ in self._log(name).entries]

    def offsets(self, source_id: str, start: int = 0) -> OffsetsView:
        """What the offsets partition says of a source, committed, from an offset on."""
        with self._lock:
            lanes: dict[Lane, Stored] = {}
            claim: Claim | None = None
            for offset, (entry, batch) in enumerate(self._offsets.entries):
                if offset < start or batch.state != "committed" or entry[0] != source_id:
                    continue
                if isinstance(entry[1], Claim):
                    claim = entry[1]
                elif isinstance(entry[1], OffsetRecord):
                    lanes[entry[2]] = Stored(entry[1], offset)
            return OffsetsView(lanes, claim, len(self._offsets.entries))

    # what a test does to it

    def go_away(self, calls: int) -> None:
        """The next `calls` calls find no broker."""
        with self._lock:
            self._away = calls

    def fail_next_send(self, *errors: DeliveryError) -> None:
        """The next transactions fail so, before anything is committed."""
        with self._lock:
            self._failures += errors

    def lose_answer(self, outcome: Outcome, error: DeliveryError | None = None) -> None:
        """The next commit of records is not answered: it took place, or not, or will `late`.

        A late one takes place at `deliver_late`, where its producer's id was not initialised anew.
        """
        with self._lock:
            told = error or OutcomeUnknown("the answer to a commit was lost", code="_TIMED_OUT")
            self._outcomes.append((outcome, told))

    def deliver_late(self) -> None:
        """What was on its way arrives: refused where the id was initialised anew."""
        with self._lock:
            late, self._late = self._late, []
            for producer, end in late:
                batch = self._open.get(producer.transactional_id)
                if self._epochs[producer.transactional_id] != producer.epoch or batch is None:
                    self.late_ends_refused += 1
                else:
                    self._finish(batch, end)

    def replace_cluster(self) -> None:
        """A new, empty cluster under the same address."""
        with self._lock:
            self.cluster_id = uuid.uuid4().hex
            self._topics.clear()
            self._offsets.entries.clear()
            self._epochs.clear()
            self._open.clear()

    # what a sink calls

    def reach(self, doing: str) -> None:
        """One call.  Raises BrokerUnavailable while it is away."""
        with self._lock:
            self.calls += 1
            if self._away:
                self._away -= 1
                raise BrokerUnavailable(f"{doing}: no broker", code="_TRANSPORT")

    def init(self, transactional_id: str) -> ProducerEpoch:
        """A new epoch: older producers of this id are fenced, what they left open is aborted."""
        with self._lock:
            self.reach(f"initialising {transactional_id}")
            left = self._open.get(transactional_id)
            if left is not None:
                self._finish(left, "aborted")
            epoch = self._epochs.get(transactional_id, -1) + 1
            self._epochs[transactional_id] = epoch
            return ProducerEpoch(transactional_id, epoch)

    def begin(self, producer: ProducerEpoch) -> Batch:
        """Open a transaction.  Raises ProducerFenced."""
        with self._lock:
            self._check(producer)
            batch = Batch(producer.transactional_id, producer.epoch)
            self._open[producer.transactional_id] = batch
            return batch

    def write(self, batch: Batch, topic: str, message: Message) -> None:
        """Append one record to a topic."""
        with self._lock:
            batch.records += 1
            log = self._log(topic).entries
            log.append((replace(message, offset=len(log)), batch))

    def write_offset(
        self, batch: Batch, source_id: str, record: OffsetRecord | Claim, lane: Lane | None
    ) -> int:
        """Append to the offsets partition; where it stands."""
        with self._lock:
            self._offsets.entries.append(((source_id, record, lane), batch))
            return len(self._offsets.entries) - 1

    def end(
        self, producer: ProducerEpoch, batch: Batch, state: Literal["committed", "aborted"]
    ) -> None:
        """End a transaction.  Raises what the test asked for."""
        with self._lock:
            self._check(producer)
            if state == "committed" and batch.records and self._outcomes:
                outcome, error = self._outcomes.pop(0)
                if outcome == "late":
                    self._late.append((producer, "committed"))
                else:
                    self._finish(batch, outcome)
                raise error
            self._finish(batch, state)

    def failure(self) -> DeliveryError | None:
        """The error that the next transaction meets, if the test asked for one."""
        with self._lock:
            return self._failures.pop(0) if self._failures else None

    def newest_claim(self, source_id: str) -> Claim | None:
        """The newest claim, committed or not: what peek reads."""
        with self._lock:
            claims = [
                entry[1]
                for entry, _ in self._offsets.entries
                if entry[0] == source_id and isinstance(entry[1], Claim)
            ]
            return max(claims, key=lambda claim: claim.epoch, default=None)

    def read_offsets(self, source_id: str, start: int, stop: threading.Event | None) -> OffsetsView:
        """What is committed, once every transaction open in the partition now has ended."""
        with self._changed:
            self.reach("reading the offsets partition")
            end = len(self._offsets.entries)
            waited = False
            while left := self._still_open(end):
                if stop is not None and stop.is_set():
                    raise BrokerUnavailable("stopped before the last stable offset was there")
                if waited:
                    self._expire(left[0])
                waited = not self._changed.wait(self._timeout_s)
            return self.offsets(source_id, start)

    def _still_open(self, end: int) -> list[Batch]:
        return [batch for _, batch in self._offsets.entries[:end] if batch.state == "open"]

    def _expire(self, batch: Batch) -> None:
        self._epochs[batch.transactional_id] += 1  # its producer is fenced
        self._finish(batch, "aborted")

    def _check(self, producer: ProducerEpoch) -> None:
        if self._epochs.get(producer.transactional_id) != producer.epoch:
            raise ProducerFenced(
                f"{producer.transactional_id} was initialised anew", code="_FENCED"
            )

    def _finish(self, batch: Batch, state: Literal["committed", "aborted"]) -> None:
        batch.state = state
        if self._open.get(batch.transactional_id) is batch:
            del self._open[batch.transactional_id]
        marker = ("", None, None)  # the end of a transaction takes an offset, as on a real broker
        self._offsets.entries.append((marker, batch))
        self._changed.notify_all()

    def _log(self, topic: str) -> _Log:
        return self._topics.setdefault(topic, _Log())
