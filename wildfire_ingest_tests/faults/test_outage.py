"""The broker is away, or the worker stands still: what waits is delivered once, later."""

import signal

import pytest
from confluent_kafka.admin import AdminClient

from wildfire_ingest.clock import SystemClock
from wildfire_ingest_tests.faults.fires import answer, expected, row, six_polls

pytestmark = pytest.mark.kafka

OUTAGE_S = 30.0
SWEEP_S = 21.0
"""The time-out of 10 s, and the broker looks for such transactions every 10 s."""


@pytest.mark.samples
def test_a_broker_killed_for_thirty_seconds_costs_nothing_but_time(stream, kafka, modis_polls):
    source = stream(modis_polls)
    worker = source.work("replay", engine={"polling_interval_s": 0.8})
    worker.wait_for("Published", 6)
    clock = SystemClock()

    kafka.kill()
    try:
        began_us = clock.monotonic_us()
        spooled = len(worker.lines("Spooled"))
        worker.wait_at_most(OUTAGE_S)
        was_away_s = (clock.monotonic_us() - began_us) / 1e6
        spooled_meanwhile = len(worker.lines("Spooled")) - spooled
        alive = worker.is_running
    finally:
        kafka.start()
    assert worker.wait(90) == 0

    assert alive
    assert was_away_s >= OUTAGE_S
    assert spooled_meanwhile > 5
    assert worker.lines("DeliveryFailed")
    assert worker.summary["ending"] in {"stopped", "undelivered"}
    source.finish()
    source.must_hold(expected(modis_polls), least=10_000)


def test_a_missing_topic_dead_letters_nothing_and_is_delivered_once_it_is_there(stream):
    source = stream(create=False)
    _create_all_but_the_source_s_topic(source)

    waiting = source.work("once", engine={"give_up_after_s": 4.0})
    waiting.wait()
    assert waiting.summary["ending"] == "undelivered"
    assert "spooled 181 records" in waiting.summary["message"]
    assert any("UNKNOWN_TOPIC" in told["message"] for told in waiting.lines("DeliveryFailed"))
    assert source.dead_letters() == []
    source.create_topics()
    source.finish()

    source.must_hold(expected(six_polls()), least=480)


def _create_all_but_the_source_s_topic(source):
    source.create_topics()
    admin = AdminClient({"bootstrap.servers": source.bootstrap})
    admin.delete_topics([source.topic])[source.topic].result(20)


def test_a_worker_that_stood_still_past_its_transaction_goes_on(stream):
    """SIGSTOP within a transaction; the broker times it out; nobody else took over."""
    polls = [answer(*(row(n) for n in range(100 * p, 100 * p + 3000))) for p in range(8)]
    source = stream(polls, lanes=False)
    worker = source.work(
        "replay",
        stand_still="txn.before_commit",
        client={"TRANSACTION_TIMEOUT_MS": 10_000, "MESSAGE_TIMEOUT_MS": 9_000},
    )
    worker.wait_until_stopped()
    worker.wait_at_most(SWEEP_S)
    worker.signal(signal.SIGCONT)

    assert worker.wait() == 0
    failed = worker.lines("DeliveryFailed")
    assert failed
    assert worker.summary["ending"] == "stopped", worker.summary
    source.must_hold(expected(polls), least=3_700)
