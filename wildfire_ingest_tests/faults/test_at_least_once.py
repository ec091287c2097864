"""kafka.delivery: at_least_once repeats after a crash, with the same ids, and loses nothing."""

import pytest

from wildfire_ingest_tests.faults.fires import expected, six_polls

pytestmark = pytest.mark.kafka


def test_a_crash_after_the_acknowledgement_repeats_with_the_same_ids_and_the_judge_sees_it(stream):
    source = stream(kafka={"delivery": "at_least_once"})
    killed = source.work("once", crash="txn.before_commit")
    assert killed.wait() == -9
    first = len(source.delivered())

    source.finish()

    wanted = expected(six_polls())
    counts, contents = source.judged()
    assert first > 0
    assert contents == wanted.records
    assert sum(n - 1 for n in counts.values()) == first
    with pytest.raises(AssertionError, match=f"'twice': {first}, 'lost': 0, 'unknown': 0"):
        source.must_hold(wanted)


def test_without_a_crash_it_repeats_nothing(stream):
    source = stream(kafka={"delivery": "at_least_once"})

    source.finish()

    source.must_hold(expected(six_polls()), least=480)
