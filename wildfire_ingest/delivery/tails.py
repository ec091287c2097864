"""Reads back what topics hold of a source: for rebuilding the index of a spool that was lost.

Reads committed, from the time the window begins to the end taken read uncommitted, and waits
until every partition's last stable offset has passed it: deciding earlier would send rows twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable

_QUERY_S = 10.0
_HEAD_BYTES = 1024
_ID = re.compile(rb'\{"id":"([0-9a-f]{32})".*?"revision":(\d+)')
"""A value of ours says it itself, whatever the envelope; a dead letter's says nothing."""


def committed_since(
    settings: KafkaSettings,
    topics: Sequence[str],
    since_ms: int,
    stop: threading.Event | None = None,
) -> Iterator[tuple[bytes, bytes]]:
    """(`<id>.<revision>`, value) of every committed record of `topics` written since then."""
    ends = Consumer(client_config.reader(settings, committed=False))
    reader = Consumer(client_config.reader(settings, committed=True))
    try:
        with mapped(f"reading back {', '.join(topics)}"):
            yield from _read(ends, reader, topics, since_ms, stop)
    finally:
        reader.close()
        ends.close()


def _read(
    ends: Consumer,
    reader: Consumer,
    topics: Sequence[str],
    since_ms: int,
    stop: threading.Event | None,
) -> Iterator[tuple[bytes, bytes]]:
    left: dict[tuple[str, int], int] = {}
    assignment = []
    for place in _starts(ends, topics, since_ms):
        _, end = ends.get_watermark_offsets(place, timeout=_QUERY_S, cached=False)
        if 0 <= place.offset < end:
            left[(place.topic, place.partition)] = end
            assignment.append(place)
    reader.assign(assignment)
    while left:
        if stop is not None and stop.is_set():
            raise BrokerUnavailable("stopped while reading back the topics")
        message = reader.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is None:
            value = message.value()
            record_id = _id_of(message)
            if isinstance(value, bytes) and record_id is not None:
                yield record_id, value
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
            place_key = (message.topic() or "", message.partition() or 0)
            if (message.offset() or 0) >= left.get(place_key, 0):
                left.pop(place_key, None)
        else:
            raise KafkaException(error)


def _id_of(message: Message) -> bytes | None:
    """`<id>.<revision>`: a dead letter's header, whose value is anything; else what a value of
    ours says.
    """
    named = dict(message.headers() or []).get("id")
    if isinstance(named, bytes):
        return named
    value = message.value()
    found = _ID.match(value[:_HEAD_BYTES]) if isinstance(value, bytes) else None
    return None if found is None else b"%b.%b" % found.groups()


def _starts(consumer: Consumer, topics: Sequence[str], since_ms: int) -> list[TopicPartition]:
    """Each partition at the first offset written since then; empty ones at the end."""
    places = []
    known = consumer.list_topics(timeout=_QUERY_S).topics
    for topic in topics:
        if topic in known:
            places += [TopicPartition(topic, p, since_ms) for p in known[topic].partitions]
    found = consumer.offsets_for_times(places, timeout=_QUERY_S) if places else []
    return [p for p in found if p.offset != OFFSET_END]
