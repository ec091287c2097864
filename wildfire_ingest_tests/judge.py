"""What is in Kafka, read by a consumer that shares no code with the product.

Plain confluent-kafka, no group membership, every partition from its beginning to the end that a
read_committed consumer can see when the reading begins.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

Headers = list[tuple[str, bytes | None]]
READ_WAIT_S = 60.0


class Seen(NamedTuple):
    """One record as a consumer sees it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def read_committed(
    bootstrap: str, topics: Sequence[str], *, wait_s: float = READ_WAIT_S
) -> list[Seen]:
    """Every committed record of `topics`, in offset order per partition.

    A topic that does not exist has no records.  Raises TimeoutError when the ends were not reached
    within `wait_s`: an open transaction, or a broker that is away.
    """
    return _read(bootstrap, topics, "read_committed", wait_s)


def read_uncommitted(
    bootstrap: str, topics: Sequence[str], *, wait_s: float = READ_WAIT_S
) -> list[Seen]:
    """Also the records of open and aborted transactions."""
    return _read(bootstrap, topics, "read_uncommitted", wait_s)


def values(bootstrap: str, *topics: str, wait_s: float = READ_WAIT_S) -> list[bytes]:
    """The committed values of `topics`, tombstones left out."""
    seen = read_committed(bootstrap, topics, wait_s=wait_s)
    return [record.value for record in seen if record.value is not None]


def _read(bootstrap: str, topics: Sequence[str], isolation: str, wait_s: float) -> list[Seen]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "judge",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            # The embedded broker answers a fetch with the whole log in one response.
            "receive.message.max.bytes": 2_000_000_000,
            "fetch.wait.max.ms": 20,
            "allow.auto.create.topics": False,
        }
    )
    try:
        return _read_to_end(consumer, _partitions(bootstrap, topics), wait_s)
    finally:
        consumer.close()


def _partitions(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=15)
    return [
        TopicPartition(topic, number, OFFSET_BEGINNING)
        for topic in topics
        if topic in metadata.topics and metadata.topics[topic].error is None
        for number in metadata.topics[topic].partitions
    ]


def _read_to_end(consumer: Consumer, partitions: list[TopicPartition], wait_s: float) -> list[Seen]:
    unfinished = {(one.topic, one.partition) for one in partitions}
    seen: list[Seen] = []
    deadline = time.monotonic() + wait_s
    if unfinished:
        consumer.assign(partitions)
    while unfinished:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(seen)} records read, ends not reached: {sorted(unfinished)}")
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            if error is None:
                seen.append(_seen(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard((message.topic(), message.partition()))
            elif not error.retriable() and error.fatal():
                raise AssertionError(f"the judge cannot read: {error}")
    return sorted(seen, key=lambda record: record[:3])


def _seen(message) -> Seen:
    return Seen(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        list(message.headers() or []),
    )
