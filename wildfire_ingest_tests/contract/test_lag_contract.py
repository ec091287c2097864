"""What every Lag promises: the fake, and the reader that asks real brokers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.engine.ports import Lag
from wildfire_ingest.testing import FakeLag


@dataclass
class World:
    """A topic with 30 records, of which `read` commits that so many were consumed."""

    lag: Lag
    topic: str
    group: str
    read: Callable[[int], None]


def _fake() -> World:
    lag = FakeLag(None)

    def read(n: int) -> None:
        lag.lag = 30 - n

    return World(lag, "things", "readers", read)


def _real(request: pytest.FixtureRequest) -> World:
    conf = {"bootstrap.servers": request.getfixturevalue("kafka").bootstrap}
    name = request.getfixturevalue("topic")("lag", partitions=1)
    group = request.getfixturevalue("fresh_name")("readers")
    producer = Producer(conf)
    for _ in range(30):
        producer.produce(name, b"x")
    assert producer.flush(20) == 0

    def read(n: int) -> None:
        consumer = Consumer({**conf, "group.id": group})
        consumer.commit(offsets=[TopicPartition(name, 0, n)], asynchronous=False)
        consumer.close()

    return World(LagReader(conf), name, group, read)


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> World:
    return _fake() if request.param == "fake" else _real(request)


def test_a_group_that_never_committed_has_an_unknown_lag_not_zero(world: World) -> None:
    assert world.lag.read({world.topic: (world.group,)}) == {world.topic: None}


def test_the_lag_is_what_the_group_has_not_consumed(world: World) -> None:
    world.read(12)

    assert world.lag.read({world.topic: (world.group,)}) == {world.topic: 18}


def test_a_topic_without_a_group_has_no_lag(world: World) -> None:
    assert world.lag.read({world.topic: ()}) == {}
    assert world.lag.read({}) == {}
