"""A record that the broker refuses is dead-lettered alone; the others of its load go on."""

import pytest

from wildfire_ingest_tests.faults.fires import answer, row

pytestmark = pytest.mark.kafka

LIMIT_BYTES = 580
"""A message set of one usual record has about 535 bytes, one of BIG about 625."""
BIG = (
    "30.12345678901,-120.1234567890123,310.1234567890123,1.123456789012,1.123456789012,"
    "2022-04-04,1212,T,50,6.1NRTXXXXXXXXXX,290.1234567890123,12.12345678901234,D"
)


def _load_with_one_big():
    return answer(*(row(n) for n in range(4)), BIG, *(row(n) for n in range(4, 8)))


def test_crash_after_readdressing_dead_letters_the_one_record_once(small_topic):
    source = small_topic([_load_with_one_big()])
    killed = source.work("once", crash="dlq.after_readdress")
    assert killed.wait() == -9

    source.finish()

    _one_in_the_dlq_the_others_delivered(source)


def test_one_record_that_the_broker_refuses_is_dead_lettered_alone(small_topic):
    source = small_topic([_load_with_one_big()])

    worker = source.work("once")
    worker.wait()

    assert worker.summary["ending"] == "done", worker.summary
    assert len(worker.lines("DeliveryFailed")) >= 3
    assert worker.summary["ledger"]["dead"] == 1
    _one_in_the_dlq_the_others_delivered(source)


@pytest.fixture
def small_topic(stream):
    def make(polls):
        return stream(
            polls,
            lanes=False,
            topic_config={"max.message.bytes": LIMIT_BYTES},
            kafka={
                "compression_type": "none",
                "max_retries": 2,
                "retry_backoff_base": 1.0,
                "client_config": {"batch.num.messages": 1},
            },
        )

    return make


def _one_in_the_dlq_the_others_delivered(source):
    counts, _ = source.judged()
    assert len(counts) == 8
    assert set(counts.values()) == {1}
    (letter,) = source.dead_letters()
    headers = {name: value.decode() for name, value in letter.headers}
    assert headers["__connect.errors.stage"] == "broker"
    assert headers["__connect.errors.exception.class.name"] == "MSG_SIZE_TOO_LARGE"
    assert b"XXXXXXXXXX" in letter.value
    assert source.note_cursor().pending == 0
