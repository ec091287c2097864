"""The lag is what the brokers say, and unknown where they do not say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.dispatch.lag import Admin, LagReader
from wildfire_ingest.simulator.brokers import ApacheKafka

T = "wildfire-test"


class ManualClock:
    """Monotonic time that a test sets."""

    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        return self.us

    def monotonic_us(self) -> int:
        return self.us

    def wait(self, event: object, seconds: float) -> bool:
        raise AssertionError("a lag reading never waits on the clock")


class FakeAdmin:
    """Topics with start and end offsets, groups with commits; parts of it can fail."""

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], tuple[int, int]] = {}
        self.commits: dict[str, dict[tuple[str, int], int]] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.listings = 0

    def list_topics(self, *, timeout: float) -> Any:
        self.listings += 1
        if "topics" in self.failing:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        topics: dict[str, Any] = {}
        for topic, partition in self.offsets:
            found = topics.setdefault(topic, SimpleNamespace(error=None, partitions={}))
            found.partitions[partition] = None
        return SimpleNamespace(topics=topics)

    def list_offsets(
        self,
        specs: dict[TopicPartition, OffsetSpec],
        /,
        *,
        isolation_level: IsolationLevel,
        request_timeout: float,
    ) -> dict[TopicPartition, Future[Any]]:
        assert isolation_level is IsolationLevel.READ_COMMITTED
        return {
            each: self._future(
                "ends" if spec is OffsetSpec.latest() else "starts",
                SimpleNamespace(
                    offset=self.offsets[each.topic, each.partition][spec is OffsetSpec.latest()]
                ),
            )
            for each, spec in specs.items()
        }

    def list_consumer_group_offsets(
        self, groups: list[ConsumerGroupTopicPartitions], /, *, request_timeout: float
    ) -> dict[str, Future[Any]]:
        (request,) = groups
        asked: Iterable[TopicPartition] = request.topic_partitions or ()
        mine = self.commits.get(request.group_id, {})
        found = [
            TopicPartition(
                each.topic, each.partition, mine.get((each.topic, each.partition), -1001)
            )
            for each in asked
        ]
        answer = SimpleNamespace(topic_partitions=found)
        return {request.group_id: self._future(request.group_id, answer)}

    def _future(self, what: str, answer: object) -> Future[Any]:
        future: Future[Any] = Future()
        if what in self.failing:
            future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        elif what not in self.silent:
            future.set_result(answer)
        return future


@pytest.fixture
def admin() -> FakeAdmin:
    """Two partitions with 100 and 50 records; `readers` has read 40 and 50 of them."""
    fake = FakeAdmin()
    fake.offsets = {(T, 0): (0, 100), (T, 1): (0, 50)}
    fake.commits = {"readers": {(T, 0): 40, (T, 1): 50}}
    return fake


def reader(admin: Admin, *, clock: ManualClock | None = None) -> LagReader:
    return LagReader({}, admin=lambda _: admin, clock=clock or ManualClock())


def lag(admin: FakeAdmin, *groups: str) -> int | None:
    return reader(admin).read({T: groups or ("readers",)})[T]


def test_the_lag_is_summed_over_the_partitions(admin: FakeAdmin) -> None:
    assert lag(admin) == 60


def test_the_slowest_group_counts(admin: FakeAdmin) -> None:
    admin.commits["slow"] = {(T, 0): 0, (T, 1): 0}

    assert lag(admin, "readers", "slow") == 150


def test_a_partition_without_a_commit_counts_from_its_beginning(admin: FakeAdmin) -> None:
    admin.offsets[T, 1] = (20, 50)
    del admin.commits["readers"][T, 1]

    assert lag(admin) == 60 + 30


def test_records_that_retention_has_deleted_do_not_count(admin: FakeAdmin) -> None:
    admin.offsets[T, 0] = (90, 100)

    assert lag(admin) == 10


def test_a_commit_ahead_of_the_end_that_was_read_earlier_is_no_lag(admin: FakeAdmin) -> None:
    admin.commits["readers"][T, 0] = 103

    assert lag(admin) == 0


def test_a_group_without_commits_is_unknown_and_not_zero(admin: FakeAdmin) -> None:
    readings = reader(admin)

    assert readings.read({T: ("readers", "nobody")}) == {T: None}
    assert "'nobody' has no committed offset" in readings.why_unknown[T]


@pytest.mark.parametrize("what", ["ends", "starts", "readers", "topics"])
def test_a_request_that_fails_makes_the_lag_unknown(admin: FakeAdmin, what: str) -> None:
    admin.failing = {what}
    readings = reader(admin)

    assert readings.read({T: ("readers",)}) == {T: None}
    assert readings.why_unknown[T]


def test_an_answer_that_never_comes_makes_the_lag_unknown(admin: FakeAdmin) -> None:
    admin.silent = {"readers"}
    readings = LagReader({}, admin=lambda _: admin, request_timeout_s=-1.0)

    assert readings.read({T: ("readers",)}) == {T: None}
    assert "no answer" in readings.why_unknown[T]


def test_a_topic_that_does_not_exist_leaves_the_others_known(admin: FakeAdmin) -> None:
    readings = reader(admin)

    found = readings.read({T: ("readers",), "missing": ("readers",)})

    assert found == {T: 60, "missing": None}
    assert dict(readings.why_unknown) == {"missing": "the cluster shows no such topic"}


def test_a_topic_without_groups_is_left_out_and_nothing_is_asked(admin: FakeAdmin) -> None:
    assert reader(admin).read({T: ()}) == {}
    assert admin.listings == 0


def test_the_partitions_are_listed_once_a_minute_and_again_after_an_unknown_lag(
    admin: FakeAdmin,
) -> None:
    clock = ManualClock()
    readings = reader(admin, clock=clock)
    for now_s in (0, 30, 59):
        clock.us = now_s * SECOND_US
        readings.read({T: ("readers",)})
    assert admin.listings == 1

    clock.us = 60 * SECOND_US
    readings.read({T: ("readers",)})
    assert admin.listings == 2

    readings.read({T: ("nobody",)})
    readings.read({T: ("readers",)})
    assert admin.listings == 3


def test_a_broker_that_is_away_makes_the_lag_unknown_within_the_time_out() -> None:
    readings = LagReader(
        {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, request_timeout_s=0.3
    )

    assert readings.read({T: ("readers",)}) == {T: None}
    assert readings.why_unknown[T].startswith("no list of topics")


@pytest.mark.kafka
def test_defect_28_the_lag_is_that_of_the_consumers_in_kafka(
    kafka: ApacheKafka, topic: Callable[..., str], fresh_name: Callable[..., str]
) -> None:
    name, group = topic("lag", partitions=3), fresh_name("readers")
    _produce(kafka.bootstrap, name, 90)
    readings = LagReader({"bootstrap.servers": kafka.bootstrap})

    assert readings.read({name: (group,)}) == {name: None}
    _commit(kafka.bootstrap, group, [TopicPartition(name, 0, 10), TopicPartition(name, 1, 30)])
    assert readings.read({name: (group,)}) == {name: 20 + 0 + 30}


@pytest.mark.kafka
def test_records_of_an_open_transaction_are_no_lag(
    kafka: ApacheKafka, topic: Callable[..., str], fresh_name: Callable[..., str]
) -> None:
    name, group = topic("lag", partitions=1), fresh_name("readers")
    _commit(kafka.bootstrap, group, [TopicPartition(name, 0, 0)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(5):
        producer.produce(name, b"x")
    producer.flush(20)
    readings = LagReader({"bootstrap.servers": kafka.bootstrap})

    open_lag = readings.read({name: (group,)})[name]
    producer.commit_transaction(20)

    assert open_lag == 0
    # The broker writes the end of a transaction after it has answered the commit.
    later = (readings.read({name: (group,)})[name] for _ in range(2_000))
    assert next(lag for lag in later if lag) >= 5


def _produce(bootstrap: str, name: str, records: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(records):
        producer.produce(name, b"x", partition=number % 3)
    assert producer.flush(20) == 0


def _commit(bootstrap: str, group: str, offsets: list[TopicPartition]) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()
