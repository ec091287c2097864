"""The faults that only the fake broker can be told to have do what a real broker does."""

from __future__ import annotations

import pytest

from wildfire_ingest.errors import BrokerUnavailable, OutcomeUnknown, ProducerFenced, RecordRefused
from wildfire_ingest.record import Lane
from wildfire_ingest.testing import FakeKafka, FakeSink
from wildfire_ingest_tests.contract.loads import offset, outgoing


@pytest.fixture
def broker() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def sink(broker: FakeKafka) -> FakeSink:
    one = FakeSink(broker)
    one.inspect(0)
    one.claim(1)
    return one


def send(sink: FakeSink, value: bytes, seq: int = 1) -> int:
    load = outgoing("t", [value], seq=seq)
    return sink.send("bulk", [load], {Lane.NORMAL: offset(load)})


def values(broker: FakeKafka) -> list[bytes]:
    return [message.value for message in broker.visible("t")]


def test_an_unknown_outcome_that_took_place_is_found_by_reconcile(
    broker: FakeKafka, sink: FakeSink
) -> None:
    broker.lose_answer("committed")

    with pytest.raises(OutcomeUnknown):
        send(sink, b"1")

    assert values(broker) == [b"1"]
    assert sink.reconcile("bulk", 0).lanes[Lane.NORMAL].record.seq == 1


@pytest.mark.parametrize("outcome", ["aborted", "late"])
def test_an_unknown_outcome_that_did_not_take_place_is_not_found(
    broker: FakeKafka, sink: FakeSink, outcome: str
) -> None:
    broker.lose_answer(outcome)  # type: ignore[arg-type]

    with pytest.raises(OutcomeUnknown):
        send(sink, b"1")

    assert sink.reconcile("bulk", 0).lanes == {}
    assert values(broker) == []


def test_a_late_end_is_refused_after_the_id_was_initialised_anew(
    broker: FakeKafka, sink: FakeSink
) -> None:
    broker.lose_answer("late")
    with pytest.raises(OutcomeUnknown):
        send(sink, b"1")
    sink.reconcile("bulk", 0)
    send(sink, b"1")

    broker.deliver_late()

    assert (values(broker), broker.late_ends_refused) == ([b"1"], 1)


def test_a_late_end_without_reconcile_takes_place(broker: FakeKafka, sink: FakeSink) -> None:
    broker.lose_answer("late")
    with pytest.raises(OutcomeUnknown):
        send(sink, b"1")

    broker.deliver_late()

    assert (values(broker), broker.late_ends_refused) == ([b"1"], 0)


def test_a_refused_record_fails_its_whole_transaction(broker: FakeKafka, sink: FakeSink) -> None:
    broker.refuse = lambda message: message.value == b"poison"
    load = outgoing("t", [b"good", b"poison"])

    with pytest.raises(RecordRefused):
        sink.send("bulk", [load], {Lane.NORMAL: offset(load)})

    assert values(broker) == []
    assert sink.accepts("bulk", load, [0])
    assert not sink.accepts("bulk", load, [0, 1])
    assert values(broker) == []


def test_a_broker_that_is_away_comes_back(broker: FakeKafka, sink: FakeSink) -> None:
    broker.go_away(2)

    assert not sink.reachable()
    with pytest.raises(BrokerUnavailable):
        send(sink, b"1")

    assert sink.reachable()
    sink.reconcile("bulk", 0)
    send(sink, b"1")
    assert values(broker) == [b"1"]


def test_another_sources_transaction_hides_later_commits_until_it_ends(broker: FakeKafka) -> None:
    import threading

    other = broker.init("other")
    batch = broker.begin(other)
    broker.write_offset(batch, "other", offset(outgoing("t", [b"x"])), Lane.LOW)
    mine = FakeSink(broker)
    stop = threading.Event()
    stop.set()

    with pytest.raises(BrokerUnavailable, match="last stable offset"):
        mine.inspect(0, stop)

    broker.end(other, batch, "committed")
    assert mine.inspect(0, stop).lanes == {}


def test_another_cluster_knows_nothing(broker: FakeKafka, sink: FakeSink) -> None:
    send(sink, b"1")
    before = sink.cluster_id()

    broker.replace_cluster()

    assert sink.cluster_id() != before
    assert broker.visible() == []


def test_a_transaction_that_nobody_ends_is_aborted_and_its_producer_fenced() -> None:
    broker = FakeKafka(transaction_timeout_s=0.001)
    other = broker.init("other")
    batch = broker.begin(other)
    broker.write_offset(batch, "other", offset(outgoing("t", [b"x"])), Lane.LOW)

    assert FakeSink(broker).inspect(0).lanes == {}

    with pytest.raises(ProducerFenced):
        broker.end(other, batch, "committed")
