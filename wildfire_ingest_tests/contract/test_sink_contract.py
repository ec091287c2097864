"""What every Sink promises: the fake, the transactional one and the plain one, by the same tests.

What only transactions can promise is asked of the fake and of the transactional sink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.delivery import topics
from wildfire_ingest.delivery.plain_sink import PlainSink
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.delivery.sink import KafkaSink
from wildfire_ingest.engine.ports import Sink
from wildfire_ingest.errors import DeliveryDenied, DeliveryError, ProducerFenced, Superseded
from wildfire_ingest.offset import Claim, OffsetsView, PublisherName
from wildfire_ingest.record import Lane, Outgoing
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.testing import FakeKafka, FakeSink
from wildfire_ingest_tests import judge
from wildfire_ingest_tests.contract.loads import offset, outgoing

ALL = [
    "fake",
    pytest.param("kafka", marks=pytest.mark.kafka),
    pytest.param("plain", marks=pytest.mark.kafka),
]
TRANSACTIONAL = ALL[:2]


class Row(NamedTuple):
    id: bytes
    key: bytes | None
    value: bytes | None


@dataclass
class World:
    """A cluster with one topic, one source, and as many owners of it as a test asks for."""

    topic: str
    new_sink: Callable[[], Sink]
    rows: Callable[[], list[Row]]

    def owner(self, epoch: int = 1) -> Sink:
        """A sink that has done R3."""
        sink = self.new_sink()
        sink.inspect(0)
        sink.claim(epoch)
        return sink


def send(
    sink: Sink, loads: list[Outgoing], publisher: PublisherName = "bulk", *, prepare: bool = True
) -> int:
    if prepare:
        sink.prepare(publisher)
    last = {load.lane: load for load in loads}
    records = {lane: offset(x, owner=sink.owner, epoch=sink.epoch) for lane, x in last.items()}
    return sink.send(publisher, loads, records)


def _fake(close: list[Sink]) -> World:
    broker = FakeKafka()

    def new() -> Sink:
        close.append(FakeSink(broker, "contract"))
        return close[-1]

    def rows() -> list[Row]:
        return [Row(m.id.encode(), m.key, m.value) for m in broker.visible("things")]

    return World("things", new, rows)


@pytest.fixture(scope="module")
def offsets_topic(kafka: ApacheKafka) -> str:
    """One for all tests: each has a source of its own in it."""
    declared = topics.offsets_topic("contract-offsets", 1)
    topics.sync(AdminClient({"bootstrap.servers": kafka.bootstrap}), [declared])
    return declared.name


def _real(request: pytest.FixtureRequest, kind: str, close: list[Sink]) -> World:
    bootstrap = request.getfixturevalue("kafka").bootstrap
    name = request.getfixturevalue("topic")("contract")
    source_id = request.getfixturevalue("fresh_name")("source")
    settings = KafkaSettings(
        bootstrap_servers=bootstrap,
        offsets_topic=request.getfixturevalue("offsets_topic"),
        compression="none",
        envelope="plain",
        linger_ms=5,
    )
    sink_type = KafkaSink if kind == "kafka" else PlainSink

    def new() -> Sink:
        close.append(sink_type(settings, source_id, f"owner-{len(close)}", SystemClock()))
        return close[-1]

    def rows() -> list[Row]:
        seen = judge.read_committed(bootstrap, [name])
        return [Row(dict(s.headers).get("id") or b"", s.key, s.value) for s in seen]

    return World(name, new, rows)


@pytest.fixture
def world(request: pytest.FixtureRequest):
    made: list[Sink] = []
    yield _fake(made) if request.param == "fake" else _real(request, request.param, made)
    for sink in made:
        sink.close()


everywhere = pytest.mark.parametrize("world", ALL, indirect=True)
with_transactions = pytest.mark.parametrize("world", TRANSACTIONAL, indirect=True)


@everywhere
def test_a_batch_that_was_sent_is_visible_with_its_offset_record(world: World) -> None:
    sink = world.owner()
    load = outgoing(world.topic, [b'{"a":1}', b'{"a":2}'])

    place = send(sink, [load])

    assert sorted(world.rows()) == [
        (load.ids[0], b"k", b'{"a":1}'),
        (load.ids[1], b"k", b'{"a":2}'),
    ]
    view = world.new_sink().inspect(0)
    assert view.lanes[Lane.NORMAL].record == offset(load, owner=sink.owner)
    assert view.lanes[Lane.NORMAL].offset == place


@everywhere
def test_rows_of_one_key_keep_their_order_over_many_batches(world: World) -> None:
    sink = world.owner()
    values = [b"%d" % n for n in range(60)]

    for seq in range(3):
        first, second = values[seq * 20 : seq * 20 + 10], values[seq * 20 + 10 : seq * 20 + 20]
        loads = [
            outgoing(world.topic, first, seq=2 * seq),
            outgoing(world.topic, second, seq=2 * seq + 1),
        ]
        send(sink, loads)

    assert [row.value for row in world.rows()] == values


@everywhere
def test_reconcile_tells_what_was_committed(world: World) -> None:
    sink = world.owner()
    send(sink, [outgoing(world.topic, [b"1"], seq=1)])
    send(sink, [outgoing(world.topic, [b"2"], seq=2)])

    view = sink.reconcile("bulk", 0)

    assert view.lanes[Lane.NORMAL].record.seq == 2
    assert set(view.lanes) == {Lane.NORMAL}


@everywhere
def test_reading_may_begin_where_the_last_reading_ended(world: World) -> None:
    sink = world.owner()
    send(sink, [outgoing(world.topic, [b"1"], seq=1)])
    end = sink.reconcile("bulk", 0).end

    assert sink.reconcile("bulk", end).lanes == {}
    send(sink, [outgoing(world.topic, [b"2"], seq=2)])
    assert sink.reconcile("bulk", end).lanes[Lane.NORMAL].record.seq == 2


@everywhere
def test_a_lane_each_has_its_own_offset_record(world: World) -> None:
    sink = world.owner()
    low = outgoing(world.topic, [b"l"], seq=4, lane=Lane.LOW)
    critical = outgoing(world.topic, [b"c"], seq=9, lane=Lane.CRITICAL)

    send(sink, [outgoing(world.topic, [b"n"], seq=7), low])
    send(sink, [critical], "express")

    view = sink.reconcile("bulk", 0)
    seqs = {lane: stored.record.seq for lane, stored in view.lanes.items()}
    assert seqs == {Lane.NORMAL: 7, Lane.LOW: 4, Lane.CRITICAL: 9}


@everywhere
def test_a_claim_is_read_back_with_its_epoch(world: World) -> None:
    sink = world.owner(epoch=5)

    view: OffsetsView = world.new_sink().inspect(0)

    assert view.claim == Claim(owner=sink.owner, epoch=5)
    assert view.epoch == sink.epoch == 5


@everywhere
def test_a_source_that_nobody_has_run_has_no_history(world: World) -> None:
    view = world.new_sink().inspect(0)

    assert (view.lanes, view.claim, view.epoch) == ({}, None, 0)


@everywhere
def test_a_broker_that_is_there_is_reachable_and_has_a_name(world: World) -> None:
    sink = world.new_sink()

    assert sink.reachable()
    assert sink.cluster_id() == world.new_sink().cluster_id() != ""


@everywhere
def test_what_a_topic_holds_can_be_read_back(world: World) -> None:
    sink = world.owner()
    load = outgoing(world.topic, [b"1", b"2"])
    send(sink, [load])

    assert sorted(sink.tails([world.topic], 0)) == [(load.ids[0], b"1"), (load.ids[1], b"2")]


@everywhere
def test_closing_twice_is_closing_once(world: World) -> None:
    sink = world.owner()

    sink.close()
    sink.close()


@with_transactions
def test_a_batch_that_fails_is_invisible_and_has_no_offset_record(world: World) -> None:
    first, second = world.owner(1), world.new_sink()
    first.prepare("bulk")
    second.inspect(0)

    with pytest.raises(ProducerFenced):
        send(first, [outgoing(world.topic, [b"never"])], prepare=False)

    assert second.inspect(0).lanes == {}
    assert world.rows() == []


@with_transactions
def test_a_second_owner_ends_the_first_at_its_next_reconcile(world: World) -> None:
    first = world.owner(1)
    second = world.owner(2)

    with pytest.raises(Superseded) as ended:
        first.reconcile("bulk", 0)

    assert ended.value.epoch == 2
    assert second.reconcile("bulk", 0).claim == Claim(owner=second.owner, epoch=2)


@with_transactions
@pytest.mark.parametrize("publisher", ["express", "bulk"])
def test_an_idle_owner_sees_the_second_when_it_prepares(
    world: World, publisher: PublisherName
) -> None:
    first = world.owner(1)
    world.owner(2)

    with pytest.raises(Superseded):
        first.prepare(publisher)


@with_transactions
def test_trying_rows_leaves_nothing_visible(world: World) -> None:
    sink = world.owner()
    load = outgoing(world.topic, [b"1", b"2"])

    assert sink.accepts("bulk", load, [0, 1])

    assert world.rows() == []
    send(sink, [load])
    assert len(world.rows()) == 2


@with_transactions
def test_another_sources_claim_is_none_of_ours(world: World) -> None:
    sink = world.owner(3)

    assert sink.prepare("bulk")
    assert sink.reconcile("bulk", 0).claim == Claim(owner=sink.owner, epoch=3)


@pytest.mark.kafka
@pytest.mark.parametrize("world", ALL[1:], indirect=True)
def test_an_undeclared_topic_is_denied_and_creates_nothing(world: World) -> None:
    sink = world.owner()

    load = outgoing(f"{world.topic}-not-declared", [b"1"])

    for expected in (DeliveryError, DeliveryDenied):  # the second try asks for the cause
        with pytest.raises(expected):
            send(sink, [load])
        sink.reconcile("bulk", 0)
