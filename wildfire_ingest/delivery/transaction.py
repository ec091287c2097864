"""One Kafka transaction: the records, the dead letters and the offset records, all or nothing.

T5 and T6 of the delivery protocol.  No flush() inside a transaction: on a fenced producer its
error surfaces as SystemError at some later call; commit_transaction flushes, serves the delivery
reports and refuses to commit when one failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from wildfire_ingest.delivery.hand_over import hand_over
from wildfire_ingest.delivery.kafka_errors import classify
from wildfire_ingest.delivery.offsets import offset_key
from wildfire_ingest.delivery.producers import Prepared
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import DeliveryError, OutcomeUnknown, RecordRefused
from wildfire_ingest.offset import Claim, OffsetRecord, partition_of
from wildfire_ingest.record import Lane, Outgoing

COMMIT_TIMEOUT_S = 20.0
CrashPoint = Callable[[str], None]


class Transaction:
    """A transaction on one prepared producer; used once."""

    def __init__(
        self,
        prepared: Prepared,
        settings: KafkaSettings,
        source_id: str,
        crash: CrashPoint,
        *,
        attentive: bool = False,
    ) -> None:
        # A delivery report a record costs a sixth of the send.  Where all goes well nobody needs
        # them: commit says whether one failed.  After a failure the next try asks for each.
        self._row_report = self._report if attentive else None
        self._producer: Producer = prepared.producer
        self._settings = settings
        self._source_id = source_id
        self._crash = crash
        self._failed: KafkaError | None = None
        self.offset = -1
        """Where the first offset record stands, once committed: reading from there finds all."""

    def send(self, loads: Sequence[Outgoing], offsets: Mapping[Lane, OffsetRecord]) -> int:
        """Commit the loads with their offset records; the offset of the first of these.

        Raises a DeliveryError: after it, only reading the offsets topic says what was delivered.
        """
        try:
            self._producer.begin_transaction()
            self._crash("txn.after_begin")
            for n, load in enumerate(loads):
                self.produce(load)
                if n == len(loads) // 2:
                    self._crash("txn.half_produced")
            self._produce_offsets(offsets)
            self._crash("txn.before_commit")
            self._await_reports()
            self._producer.commit_transaction(COMMIT_TIMEOUT_S)
        except (KafkaException, SystemError) as error:
            raise self._told(error, "committing a transaction") from error
        self._crash("txn.after_commit")
        return self.offset

    def claim(self, claim: Claim) -> None:
        """Commit a claim of the source through this producer's id."""
        key = self._source_id.encode()
        try:
            self._producer.begin_transaction()
            self._produce_offset(key, msgspec.json.encode(claim))
            self._producer.commit_transaction(COMMIT_TIMEOUT_S)
        except (KafkaException, SystemError) as error:
            raise self._told(error, "committing the claim") from error

    def accepts(self, load: Outgoing, rows: Sequence[int]) -> bool:
        """Whether the broker takes these rows: sent in a transaction that is then aborted.

        Raises a DeliveryError where the answer is neither yes nor no.
        """
        try:
            self._producer.begin_transaction()
            self.produce(load, frozenset(rows))
            self._await_reports()
            self._producer.abort_transaction(COMMIT_TIMEOUT_S)
        except (KafkaException, SystemError) as error:
            told = self._told(error, "trying a record")
            if isinstance(told, RecordRefused):
                return False
            raise told from error
        return True

    def _await_reports(self) -> None:
        """Until all is acknowledged or the first failure is known, where records are asked for.

        After a failure librdkafka holds the others back until their time-out: commit and a
        patient poll would wait for that.
        """
        while self._row_report is not None and len(self._producer) and self._failed is None:
            self._producer.poll(0.1)
        if self._failed is not None:
            raise KafkaException(self._failed)

    def produce(self, load: Outgoing, only: frozenset[int] | None = None) -> None:
        """Hand a load's rows (or only some) to librdkafka."""
        how = (self._source_id, self._settings.envelope, self._row_report, only)
        hand_over(self._producer, load, *how)

    def _produce_offsets(self, offsets: Mapping[Lane, OffsetRecord]) -> None:
        for lane, record in sorted(offsets.items()):
            self._produce_offset(offset_key(self._source_id, lane), msgspec.json.encode(record))

    def _produce_offset(self, key: bytes, value: bytes) -> None:
        self._producer.produce(
            self._settings.offsets_topic,
            value,
            key,
            partition=partition_of(self._source_id),
            on_delivery=self._placed,
        )

    def _placed(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._report(error, message)
        else:
            offset = message.offset() or 0
            self.offset = offset if self.offset < 0 else min(self.offset, offset)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        del message
        # The first failure is the cause; those after it only say that it was purged.
        if error is not None and self._failed is None:
            self._failed = error

    def _told(self, error: BaseException, doing: str) -> DeliveryError:
        """The error that explains best: a record's own where there is one."""
        ours = classify(error, doing)
        if self._failed is not None and not isinstance(ours, OutcomeUnknown):
            cause = classify(self._failed, doing)
            if isinstance(cause, RecordRefused) or ours.code in {"_INCONSISTENT", "_STATE"}:
                return cause
        return ours
