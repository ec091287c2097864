"""What counts as news: revisions, late rows, bad rows."""

import pytest

from wildfire_ingest_tests.faults.fires import BAD_ROW, answer, expected, row

pytestmark = pytest.mark.kafka


def test_a_value_that_returns_is_a_third_revision(stream):
    polls = [answer(row(1, brightness=b), row(2)) for b in ("310.5", "320.5", "310.5", "310.5")]
    source = stream(polls)

    accepted = [source.poll().ledger.accepted for _ in polls]

    assert accepted == [2, 1, 1, 0]
    _, contents = source.judged()
    told = sorted((revision, said[0]) for (_, revision), said in contents.items())
    assert told == [(0, 310.5), (0, 310.5), (1, 320.5), (2, 310.5)]
    source.must_hold(expected(polls))


def test_a_revision_goes_on_counting_after_a_restart_and_after_a_lost_spool(stream, tmp_path):
    polls = [answer(row(1, brightness=b)) for b in ("310.5", "320.5", "310.5", "330.5")]
    source = stream(polls)
    source.poll()
    source.poll()
    source.lose_spool()

    source.poll()
    source.poll()

    assert sorted(n for _, n in source.judged()[0]) == [0, 1, 2, 3]


def test_a_row_older_than_the_window_is_counted_too_late(stream):
    source = stream([answer(row(1), row(2, day="2021-01-01"))])

    summary = source.poll()

    assert (summary.ledger.accepted, summary.ledger.too_late) == (1, 1)
    assert len(source.delivered()) == 1


def test_one_bad_row_of_four_is_dead_lettered_once_and_the_others_are_delivered(stream):
    body = answer(row(1), BAD_ROW, row(2), row(3))
    source = stream([body, body])

    first, second = source.poll(), source.poll()

    assert (first.ledger.accepted, first.ledger.rejected, first.ledger.dead) == (3, 1, 1)
    assert (second.ledger.duplicate, second.ledger.rejected) == (4, 0)
    (letter,) = source.dead_letters()
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.value == BAD_ROW.encode()
    assert headers["x-original-topic"] == source.topic
    assert "latitude 'abc'" in headers["__connect.errors.exception.message"]
    assert headers["__connect.errors.exception.class.name"] == "bad_number"
    assert headers["__connect.errors.connector.name"] == source.source_id
    assert headers["__connect.errors.stage"] == "decode"
    assert headers["x-first-failed-at"].startswith("2022-04-05T")
    source.must_hold(expected([body]), least=3)
