"""at_least_once: an idempotent producer without transactions, for clusters that have none.

Same spool and states; the offset record is sent after everything that it counts was
acknowledged, so what it says is true; between the two a crash sends records again (same ids).
Two owners cannot be told apart: only the spool's lock keeps them apart on one machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from wildfire_ingest.clock import Clock
from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.cluster import Cluster
from wildfire_ingest.delivery.hand_over import hand_over
from wildfire_ingest.delivery.kafka_errors import classify, mapped
from wildfire_ingest.delivery.offsets import OffsetsPartition, claim_key, offset_key
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.delivery.tails import committed_since
from wildfire_ingest.delivery.transaction import CrashPoint
from wildfire_ingest.errors import BrokerUnavailable, RecordRefused
from wildfire_ingest.offset import Claim, OffsetRecord, OffsetsView, PublisherName, partition_of
from wildfire_ingest.record import Lane, Outgoing

_SETTLE_S = client_config.MESSAGE_TIMEOUT_MS / 1000 + 5.0


class _Batch:
    """Collects the delivery reports of what was produced together."""

    def __init__(self) -> None:
        self.failed: KafkaError | None = None
        self.offset = -1

    def report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed = self.failed or error
        else:
            offset = message.offset() or 0
            self.offset = offset if self.offset < 0 else min(self.offset, offset)


class PlainSink:
    """One source's way into Kafka without transactions."""

    def __init__(
        self,
        settings: KafkaSettings,
        source_id: str,
        owner: str,
        clock: Clock,
        crash: CrashPoint = lambda _name: None,
    ) -> None:
        del clock
        self.settings = settings
        self.owner = owner
        self._source_id = source_id
        self._crash = crash
        self._partition = OffsetsPartition(settings, source_id)
        self._producers: dict[PublisherName, Producer] = {}
        self._cluster = Cluster(settings)
        self._need = threading.Event()
        self.epoch = 0

    def reachable(self) -> bool:
        return self._cluster.reachable()

    def cluster_id(self) -> str:
        return self._cluster.cluster_id()

    def inspect(self, start: int, stop: threading.Event | None = None) -> OffsetsView:
        """Read what the offsets partition says; nobody can be fenced."""
        self._crash("recover.after_init")
        return self._partition.read(start, stop)

    def claim(self, epoch: int) -> None:
        """Write the claim; it informs, it does not fence."""
        producer, batch = self._producer("express"), _Batch()
        value = msgspec.json.encode(Claim(owner=self.owner, epoch=epoch))
        self._put(producer, claim_key(self._source_id), value, batch)
        self._settle("express", batch, "writing the claim")
        self.epoch = epoch

    def prepare(self, publisher: PublisherName) -> bool:
        """Nothing to prepare beyond the producer itself."""
        self._producer(publisher)
        return False

    def wait_for_need(self, seconds: float, ended: threading.Event) -> None:
        """Wait; producers are not used up here."""
        if not ended.is_set():
            self._need.wait(seconds)

    def send(
        self,
        publisher: PublisherName,
        loads: Sequence[Outgoing],
        offsets: Mapping[Lane, OffsetRecord],
    ) -> int:
        """The records, all acknowledged; then the offset records."""
        producer, batch = self._producer(publisher), _Batch()
        self._crash("txn.after_begin")
        for load in loads:
            with mapped("producing"):
                hand_over(producer, load, self._source_id, self.settings.envelope, batch.report)
        self._settle(publisher, batch, "waiting for acknowledgements")
        self._crash("txn.before_commit")
        placed = _Batch()
        for lane, record in sorted(offsets.items()):
            key = offset_key(self._source_id, lane)
            self._put(producer, key, msgspec.json.encode(record), placed)
        self._settle(publisher, placed, "writing the offset record")
        self._crash("txn.after_commit")
        return placed.offset

    def reconcile(
        self, publisher: PublisherName, start: int, stop: threading.Event | None = None
    ) -> OffsetsView:
        """What the offset records say, with a new producer."""
        self._producers.pop(publisher, None)
        return self._partition.read(start, stop)

    def accepts(self, publisher: PublisherName, load: Outgoing, rows: Sequence[int]) -> bool:
        """Whether the broker takes these rows.  Without transactions they are then there: the
        duplicates that at_least_once allows.
        """
        producer, batch = self._producer(publisher), _Batch()
        try:
            with mapped("trying a record"):
                how = (self._source_id, self.settings.envelope, batch.report, rows)
                hand_over(producer, load, *how)
            self._settle(publisher, batch, "trying a record")
        except RecordRefused:
            return False
        return True

    def tails(
        self, topics: Sequence[str], since_ms: int, stop: threading.Event | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """What the topics hold since then."""
        return committed_since(self.settings, topics, since_ms, stop)

    def wake(self) -> None:
        """End a wait_for_need."""
        self._need.set()

    def close(self) -> None:
        self.wake()
        self._producers.clear()
        self._partition.close()

    def _producer(self, publisher: PublisherName) -> Producer:
        found = self._producers.get(publisher)
        if found is None:
            found = self._producers[publisher] = Producer(client_config.producer(self.settings))
        return found

    def _put(self, producer: Producer, key: bytes, value: bytes, batch: _Batch) -> None:
        with mapped("producing an offset record"):
            producer.produce(
                self.settings.offsets_topic,
                value,
                key,
                partition=partition_of(self._source_id),
                on_delivery=batch.report,
            )

    def _settle(self, publisher: PublisherName, batch: _Batch, doing: str) -> None:
        producer = self._producers[publisher]
        try:
            left = producer.flush(_SETTLE_S)
        except (KafkaException, SystemError) as error:
            self._producers.pop(publisher, None)
            raise classify(error, doing) from error
        if batch.failed is not None:
            raise classify(batch.failed, doing)
        if left:
            raise BrokerUnavailable(f"{doing}: {left} messages unanswered after {_SETTLE_S:.0f} s")
