"""What is in the demo's topics, read by a read_committed consumer: the independent count.

Reads from the beginning and commits what it has read as a consumer group, so that there is a
real consumer lag to look at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from wildfire_ingest.simulator.demo_folder import READER_GROUP, DemoFailed

CONNECTOR_HEADER = "__connect.errors.connector.name"
MAX_MESSAGES = 5_000
METADATA_S = 15.0
CATCH_UP_S = 1.0
READ_WAIT_S = 60.0


class _Value(msgspec.Struct):
    """What is read of a record's JSON."""

    id: str
    source_id: str
    revision: int


@dataclass(slots=True)
class Found:
    """One source's records in Kafka."""

    revisions: set[tuple[str, int]] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    duplicates: int = 0
    """Records whose id and revision were there before."""
    dead: int = 0

    def note(self, record_id: str, revision: int) -> None:
        """Count one record."""
        if (record_id, revision) in self.revisions:
            self.duplicates += 1
        self.revisions.add((record_id, revision))
        self.ids.add(record_id)


class TopicReader:
    """Reads the topics from their beginning; for one thread."""

    def __init__(
        self, bootstrap: str, topics: Sequence[str], dlq_topic: str, *, commits: bool = False
    ) -> None:
        self.found: dict[str, Found] = {}
        self._dlq_topic = dlq_topic
        self._commits = commits
        self._decode = msgspec.json.Decoder(_Value).decode
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": READER_GROUP,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "log_level": 0,
                # The embedded broker answers a fetch with its whole log.
                "receive.message.max.bytes": 1_000_000_000,
            }
        )
        self._partitions = _partitions(bootstrap, [*topics, dlq_topic])
        self._unread = {(one.topic, one.partition) for one in self._partitions}
        self._consumer.assign(self._partitions)

    def catch_up(self) -> None:
        """Take what is there now.

        Paused in between: the embedded broker answers an empty fetch at once, and a consumer that
        always asks keeps both busy.
        """
        self._unread = {(one.topic, one.partition) for one in self._partitions}
        self._consumer.resume(self._partitions)
        deadline = time.monotonic() + CATCH_UP_S
        count = 0
        while self._unread and time.monotonic() < deadline:
            count += self._read()
        self._consumer.pause(self._partitions)
        if count and self._commits:
            with contextlib.suppress(KafkaException):
                self._consumer.commit(asynchronous=True)

    def read_to_end(self) -> dict[str, Found]:
        """All that is committed.  Raises DemoFailed where the ends are not reached in time."""
        deadline = time.monotonic() + READ_WAIT_S
        while self._unread:
            if time.monotonic() > deadline:
                raise DemoFailed(f"Kafka could not be read to its end in {READ_WAIT_S:.0f} s")
            self._read()
        return self.found

    def _read(self) -> int:
        """One batch; how many records it had."""
        count = 0
        for message in self._consumer.consume(MAX_MESSAGES, timeout=0.05):
            error = message.error()
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                count += 1
                self._unread.add(place)
                headers = dict(message.headers() or ())
                self._note(message.topic(), message.value(), headers)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - no public name
                self._unread.discard(place)
        return count

    def close(self) -> None:
        self._consumer.close()

    def _note(
        self,
        topic: str | None,
        value: bytes | None,
        headers: Mapping[str, str | bytes | None],
    ) -> None:
        if topic == self._dlq_topic:
            name = headers.get(CONNECTOR_HEADER) or b""
            source_id = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
            self.found.setdefault(source_id, Found()).dead += 1
            return
        record = self._decode(value or b"{}")
        self.found.setdefault(record.source_id, Found()).note(record.id, record.revision)


def _partitions(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    known = admin.list_topics(timeout=METADATA_S).topics
    return [
        TopicPartition(topic, number, OFFSET_BEGINNING)
        for topic in topics
        for number in known[topic].partitions
    ]
