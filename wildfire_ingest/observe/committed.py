"""Reads what topics hold for a read_committed consumer, up to now, in bounded time.

The end is taken read uncommitted first: an open transaction hides later records until it ends,
and an answer given before would be an answer about less.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable

QUERY_S = 10.0
OPEN_TRANSACTION_S = 35.0
"""An abandoned transaction hides records so long at most: its time-out and the broker's sweep."""
_TAKE = 5_000
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Span:
    """What a partition holds: offsets from `low` up to, not with, `end`."""

    low: int
    end: int


def spans(settings: KafkaSettings, topics: Sequence[str]) -> dict[Place, Span]:
    """Each partition of those topics that exist.  Raises DeliveryError."""
    consumer = Consumer(client_config.reader(settings, committed=False))
    with closing(consumer), mapped(f"asking for the ends of {', '.join(topics)}"):
        known = consumer.list_topics(timeout=QUERY_S).topics
        found: dict[Place, Span] = {}
        for topic in topics:
            for number in known[topic].partitions if topic in known else ():
                place = TopicPartition(topic, number)
                answer = consumer.get_watermark_offsets(place, timeout=QUERY_S, cached=False)
                if answer is None:
                    raise BrokerUnavailable(f"no end of {topic}[{number}] within {QUERY_S:.0f} s")
                found[topic, number] = Span(*answer)
    return found


def committed(
    settings: KafkaSettings, wanted: dict[Place, Span], wait_s: float = OPEN_TRANSACTION_S
) -> Iterator[Message]:
    """Every committed record of these spans.

    Raises BrokerUnavailable when for `wait_s` no more came and the ends were not reached.
    """
    left = {place: span.end for place, span in wanted.items() if span.low < span.end}
    if not left:
        return
    consumer = Consumer(client_config.reader(settings, committed=True))
    topics = ", ".join(sorted({topic for topic, _ in left}))
    with closing(consumer), mapped(f"reading {topics}"):
        consumer.assign([TopicPartition(*place, wanted[place].low) for place in left])
        patience_s = time.monotonic() + wait_s
        while left:
            for message in consumer.consume(_TAKE, timeout=0.2):
                if _is_record(message, left):
                    patience_s = time.monotonic() + wait_s
                    yield message
            if time.monotonic() > patience_s:
                raise BrokerUnavailable(
                    f"{topics}: not read to the end within {wait_s:.0f} s: a transaction is open "
                    "there, or the broker does not answer; try again"
                )


def _is_record(message: Message, left: dict[Place, int]) -> bool:
    """Whether it is a record to hand on; notes which partitions are done."""
    place = (message.topic() or "", message.partition() or 0)
    offset = message.offset() or 0
    error = message.error()
    if error is None:
        # What came after the end was taken is for the next reading.
        return place in left and offset < left[place]
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
        raise KafkaException(error)
    if offset >= left.get(place, 0):
        left.pop(place, None)
    return False


def header(message: Message, *names: str) -> str:
    """The first of these headers that the record has, as text; empty where it has none."""
    found = dict(message.headers() or [])
    for name in names:
        value = found.get(name)
        if value is not None:
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return ""
