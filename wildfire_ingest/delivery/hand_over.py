"""Hands the rows of a load to librdkafka, as its envelope asks; a full local queue is waited for.

`bare` records go through produce_batch, which costs half and knows no headers; all others, and
dead letters, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from wildfire_ingest.delivery.envelope import headers_of
from wildfire_ingest.delivery.settings import Envelope
from wildfire_ingest.record import Outgoing

Report = Callable[[KafkaError | None, Message], None]
_SERVE_EVERY = 1024
_QUEUE_FULL_WAIT_S = 0.05


def hand_over(
    producer: Producer,
    load: Outgoing,
    source_id: str,
    envelope: Envelope,
    report: Report | None,
    only: Collection[int] | None = None,
) -> None:
    """All rows, or only some.  Raises KafkaException where librdkafka refuses one at once."""
    rows: Sequence[int] = range(len(load)) if only is None else sorted(only)
    if envelope == "bare":
        living = [row for row in rows if row not in load.dead] if load.dead else rows
        for topic in dict.fromkeys(load.topics):
            here = [row for row in living if load.topics[row] == topic]
            _in_batches(producer, load, topic, here, report)
        rows = [row for row in rows if row in load.dead] if load.dead else ()
    if rows:
        _one_by_one(producer, load, source_id, envelope, report, rows)


def _in_batches(
    producer: Producer, load: Outgoing, topic: str, rows: Sequence[int], report: Report | None
) -> None:
    keys, values = load.keys, load.values
    how: dict[str, Any] = {} if report is None else {"on_delivery": report}
    for start in range(0, len(rows), _SERVE_EVERY):
        waiting = [{"key": keys[r], "value": values[r]} for r in rows[start : start + _SERVE_EVERY]]
        while waiting:
            taken = producer.produce_batch(topic, waiting, **how)
            waiting = _not_taken(waiting) if taken < len(waiting) else []
            producer.poll(_QUEUE_FULL_WAIT_S if waiting else 0)


def _not_taken(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What found the local queue full.  Raises what else was wrong with a message."""
    left = []
    for message in messages:
        error = message.pop("_error", None)
        if error is None:
            continue
        if error.code() != KafkaError._QUEUE_FULL:  # noqa: SLF001 - librdkafka's public name
            raise KafkaException(error)
        left.append(message)
    return left


def _one_by_one(
    producer: Producer,
    load: Outgoing,
    source_id: str,
    envelope: Envelope,
    report: Report | None,
    rows: Sequence[int],
) -> None:
    produce = producer.produce if report is None else partial(producer.produce, on_delivery=report)
    columns = (load.topics, load.keys, load.values, headers_of(load, source_id, envelope))
    whole = len(rows) == len(load)
    wanted = frozenset() if whole else frozenset(rows)
    for row, (topic, key, value, headers) in enumerate(zip(*columns, strict=True)):
        if not whole and row not in wanted:
            continue
        while True:
            try:
                produce(topic, value, key, headers=headers)
            except BufferError:
                producer.poll(_QUEUE_FULL_WAIT_S)
                continue
            break
        if not row % _SERVE_EVERY:
            producer.poll(0)
