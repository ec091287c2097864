"""What is open or late at the broker: another source's transaction, a late end of our own."""

import signal
import threading

import pytest
from confluent_kafka import Producer

from wildfire_ingest.offset import partition_of
from wildfire_ingest_tests.faults.fires import expected, six_polls
from wildfire_ingest_tests.proxy import END_TXN, FaultProxy

pytestmark = pytest.mark.kafka


def _with_the_same_partition(source_id):
    wanted = partition_of(source_id)
    return next(f"other_{n}" for n in range(1000) if partition_of(f"other_{n}") == wanted)


def _open_transaction(source, transactional_id):
    """Another source of the same partition begins a transaction and does not end it."""
    other = _with_the_same_partition(source.source_id)
    producer = Producer(
        {
            "bootstrap.servers": source.bootstrap,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": 60_000,
        }
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(
        source.offsets, b"{}", other.encode() + b"|NORMAL", partition=partition_of(source.source_id)
    )
    producer.flush(20)
    return producer


def test_a_restart_waits_for_another_source_s_open_transaction_and_sends_nothing_twice(stream):
    """The commit of the killed worker hides behind it: deciding earlier would send again."""
    source = stream()
    source.poll()
    killed = source.work("once", stand_still="txn.after_begin", crash="txn.after_commit")
    killed.wait_until_stopped()
    other = _open_transaction(source, source.offsets)
    killed.signal(signal.SIGCONT)
    assert killed.wait() == -9

    restarted = source.work("replay")
    restarted.wait_for("Spooled", 5)
    restarted.wait_at_most(3.0)
    waited = not restarted.lines("Recovered") and restarted.is_running
    other.abort_transaction(20)

    assert restarted.wait() == 0
    assert waited
    assert restarted.lines("Recovered")[0]["published_meanwhile"] > 0
    source.must_hold(expected(six_polls()), least=480)


@pytest.mark.parametrize("nth", [3, 5, 6, 8])
def test_a_late_end_of_a_transaction_tears_nothing(kafka, stream, nth):
    """EndTxn is held for 2.5 s and its client cut; the control of test_proxy does tear."""
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        source = stream()
        config = source.configure(source.state, bootstrap=proxy.bootstrap, name="proxied.json")
        late = _hold_the_nth(proxy, nth)
        worker = source.work("replay", config=config, engine={"polling_interval_s": 0.8})
        assert worker.wait() == 0
        assert late.happened.is_set()
        assert late.answered.wait(10)

    assert worker.summary["ending"] == "stopped", worker.summary
    source.must_hold(expected(six_polls()), least=480)


def _hold_the_nth(proxy, nth):
    """Let nth - 1 ends of transactions pass; four claims come first."""
    if nth > 1:
        proxy.hold(END_TXN, hold_s=0.0, times=nth - 1)
    return proxy.hold(END_TXN, hold_s=2.5, cut_client=True)


def test_a_commit_whose_answer_is_lost_is_found_out(kafka, stream):
    """The broker commits, the client's connection ends instead of the answer, twice."""
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        source = stream()
        config = source.configure(source.state, bootstrap=proxy.bootstrap, name="proxied.json")
        proxy.hold(END_TXN, hold_s=0.0, times=4)
        lost = proxy.drop_response(END_TXN, times=2)
        worker = source.work("replay", config=config, engine={"polling_interval_s": 0.3})
        assert worker.wait() == 0

    assert lost.times == 0
    source.must_hold(expected(six_polls()), least=480)


def test_a_network_that_breaks_again_and_again_loses_and_repeats_nothing(kafka, stream):
    with FaultProxy(kafka.behind_proxy_port, port=kafka.advertised_port) as proxy:
        source = stream()
        config = source.configure(source.state, bootstrap=proxy.bootstrap, name="proxied.json")
        worker = source.work("replay", config=config, engine={"polling_interval_s": 0.8})
        pause, cuts = threading.Event(), 0
        while worker.is_running and cuts < 40:
            pause.wait(0.13)
            proxy.cut()
            cuts += 1
        assert worker.wait() == 0

    assert cuts > 20
    source.finish()
    source.must_hold(expected(six_polls()), least=480)
