"""What a restart reads of Kafka is enough to know what every lane has published."""

import pytest

from wildfire_ingest_tests.faults.fires import answer, expected, row

pytestmark = pytest.mark.kafka


def _low_and_nominal(start, end):
    return answer(*(row(n) for n in range(start, end) if n % 3 < 2))


def _high(start, end):
    return answer(*(row(n) for n in range(start, end) if n % 3 == 2))


def test_a_restart_after_a_transaction_of_two_lanes_goes_on(stream):
    polls = [_low_and_nominal(0, 60), _low_and_nominal(30, 90)]
    source = stream(polls)

    endings = [(source.poll().ending, source.poll().ending, source.poll().ending)]

    assert endings == [("done", "done", "done")]
    source.must_hold(expected(polls), least=60)


def test_a_restart_remembers_a_lane_whose_commit_was_found_out_by_reconciling(stream):
    """The lane's commit was noted by a crash's recovery; another lane went on after it."""
    polls = [_low_and_nominal(0, 60), _high(0, 60), _high(60, 120)]
    source = stream(polls)
    killed = source.work("once", crash="spool.after_published")
    assert killed.wait() == -9
    source.site.advance()

    assert [source.poll().ending for _ in range(3)] == ["done"] * 3

    source.must_hold(expected(polls), least=80)
