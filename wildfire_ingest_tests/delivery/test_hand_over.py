"""Whatever the envelope and however small librdkafka's queue: each row arrives once, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.hand_over import hand_over
from wildfire_ingest.delivery.settings import Envelope, KafkaSettings
from wildfire_ingest.record import DeadLetter, Outgoing
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest_tests import judge
from wildfire_ingest_tests.contract.loads import outgoing

pytestmark = pytest.mark.kafka
ENVELOPES: list[Envelope] = ["plain", "bare", "cloudevents"]
HEADERS = {
    "plain": {"id", "type"},
    "bare": set(),
    "cloudevents": {
        *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"),
        "content-type",
    },
}


def sent(
    kafka: ApacheKafka, load: Outgoing, envelope: Envelope, only: Any = None, **config: Any
) -> list[judge.Seen]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap,
        compression="none",
        linger_ms=1,
        client_config=config,
    )
    producer = Producer(client_config.producer(settings))
    hand_over(producer, load, "source", envelope, None, only)
    assert producer.flush(30) == 0
    return judge.read_committed(kafka.bootstrap, sorted(set(load.topics)))


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_each_row_arrives_once_through_a_queue_that_is_too_small(
    kafka: ApacheKafka, topic: Callable[..., str], envelope: Envelope
) -> None:
    values = [b'{"n":%d}' % n for n in range(3000)]
    load = outgoing(topic("rows", partitions=1), values)

    seen = sent(kafka, load, envelope, **{"queue.buffering.max.messages": 100})

    assert [one.value for one in seen] == values
    assert {one.key for one in seen} == {b"k"}
    assert {name for name, _ in seen[0].headers} == HEADERS[envelope]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_dead_letter_has_its_headers_in_every_envelope(
    kafka: ApacheKafka, topic: Callable[..., str], envelope: Envelope
) -> None:
    first, dead = topic("good", partitions=1), topic("dead", partitions=1)
    load = outgoing(first, [b"a", b"b", b"c"])
    letter = DeadLetter("too odd", "odd", "decode", first, 7)
    load = replace(load, topics=[first, dead, first], dead={1: letter})

    seen = {one.value: one for one in sent(kafka, load, envelope)}

    assert {value: one.topic for value, one in seen.items()} == {
        b"a": first,
        b"b": dead,
        b"c": first,
    }
    assert dict(seen[b"b"].headers)["x-original-topic"] == first.encode()
    assert {name for name, _ in seen[b"a"].headers} == HEADERS[envelope]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_only_the_rows_asked_for_are_sent(
    kafka: ApacheKafka, topic: Callable[..., str], envelope: Envelope
) -> None:
    load = outgoing(topic("some", partitions=1), [b"0", b"1", b"2", b"3"])

    seen = sent(kafka, load, envelope, only=[1, 3])

    assert [one.value for one in seen] == [b"1", b"3"]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_row_larger_than_the_client_takes_is_an_error_at_once(
    kafka: ApacheKafka, topic: Callable[..., str], envelope: Envelope
) -> None:
    load = outgoing(topic("giants", partitions=1), [b"x" * 2_000_000])

    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        sent(kafka, load, envelope)
