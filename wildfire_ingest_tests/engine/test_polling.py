"""Polls over fakes: what moves the cursor, what counts, what a person is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from wildfire_ingest.engine.events import Degraded, PollFailed, Spooled
from wildfire_ingest.errors import (
    AnswerRefused,
    CircuitOpen,
    FetchError,
    SourceRejected,
    SourceUnavailable,
)
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.record import Polled
from wildfire_ingest.testing import TOPIC, Bench, FakeSource, make_engine
from wildfire_ingest_tests.engine.lines import line, lines


class Pages(FakeSource):
    """Asks for two pages a poll; one that is not new has no rows."""

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        del cursor, now_us
        bodies = []
        for page in range(2):
            answer = yield Request(f"/{page}", expects="json")
            bodies.append(b"" if answer.not_modified else answer.body)
        return Polled(self.read(b"".join(bodies)), b"1")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_engine(FakeSource(), [lines(2)], tmp_path, polling_interval_s=60.0) as one:
        yield one


def test_a_run_delivers_what_its_poll_brought(bench: Bench) -> None:
    summary = bench.run_once()

    assert (summary.ending, summary.succeeded) == ("done", True)
    assert summary.ledger == Ledger(fetched=2, accepted=2, published=2)
    assert (summary.polls, summary.api_calls, summary.topics) == (1, 1, {TOPIC: 2})
    assert [m.json()["station"] for m in bench.kafka.visible(TOPIC)] == ["s0", "s1"]


def test_the_same_answer_again_delivers_nothing(bench: Bench) -> None:
    bench.run_once()

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=2, duplicate=2)
    assert (summary.empty_polls, summary.transactions) == (1, 0)
    assert len(bench.kafka.visible()) == 2


def test_a_value_that_goes_a_b_a_is_three_revisions(bench: Bench) -> None:
    for value in (1, 2, 1, 1):
        bench.api.reply_with(line("a", value))
        bench.run_once()

    seen = [(m.json()["value"], m.json()["revision"]) for m in bench.kafka.visible()]
    assert seen == [(1, 0), (2, 1), (1, 2)]


def test_a_row_older_than_the_window_is_counted_and_not_sent(bench: Bench) -> None:
    bench.api.reply_with(line("old", 1, days_ago=9) + line("new", 1))

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=2, too_late=1, accepted=1, published=1)


def test_one_bad_row_in_four_delivers_the_other_three(bench: Bench) -> None:
    bench.api.reply_with(lines(3) + "no json\n")

    summary = bench.run_once()

    assert summary.ledger == Ledger(fetched=4, accepted=3, rejected=1, published=4, dead=1)
    (letter,) = bench.kafka.visible("wildfire-dlq-failed-messages")
    assert letter.value == b"no json"
    assert letter.dead is not None
    assert letter.dead.original_topic == TOPIC


def test_a_bad_row_is_dead_lettered_once_not_at_every_poll(bench: Bench) -> None:
    bench.api.reply_with("no json\n")

    books = [bench.run_once().ledger for _ in range(2)]

    assert [(b.rejected, b.duplicate) for b in books] == [(1, 0), (0, 1)]


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailable("503"),
        AnswerRefused("truncated"),
        SourceRejected("bad key"),
        CircuitOpen("open", retry_after_s=30),
    ],
)
def test_a_failed_poll_keeps_the_cursor_and_says_why(bench: Bench, error: FetchError) -> None:
    bench.run_once()
    cursor = bench.spool.cursor()
    bench.api.fail_next(error)

    summary = bench.run_once()

    assert (summary.ending, summary.failed_polls, summary.polls) == ("failed", 1, 0)
    assert str(error) in summary.message
    assert bench.spool.cursor() == cursor
    (told,) = bench.events.of(PollFailed)
    assert (told.error_class, told.retry_after_s) == (type(error).__name__, error.retry_after_s)


def test_what_a_failed_poll_was_handed_is_not_settled_by_a_later_one(tmp_path: Path) -> None:
    with make_engine(Pages(), [lines(1), SourceUnavailable("page two")], tmp_path) as bench:
        bench.run_once()

        assert bench.api.abandoned_polls == 1
        assert bench.api.settled_answers == 0


def test_a_body_that_is_no_answer_is_a_failed_poll_and_the_fetcher_is_told(bench: Bench) -> None:
    bench.api.reply_with("<html>sorry</html>")

    summary = bench.run_once()

    assert (summary.ending, bench.spool.cursor()) == ("failed", None)
    assert [type(error) for _, error in bench.api.refusals] == [AnswerRefused]
    assert bench.api.settled_answers == 0


def test_a_failed_poll_still_delivers_what_an_earlier_run_left(
    bench: Bench, interrupted: Callable[[Bench], None]
) -> None:
    interrupted(bench)
    bench.api.reply_with(SourceUnavailable("503"))

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger.pending) == ("failed", 2, 0)
    assert len(bench.kafka.visible()) == 2


@pytest.fixture
def interrupted() -> Callable[[Bench], None]:
    """A run that spooled and then died before it delivered."""

    def run(bench: Bench) -> None:
        def crash(name: str) -> None:
            if name == "txn.after_begin":
                raise KeyboardInterrupt

        bench.crash = crash
        assert bench.run_once().ledger.pending == 2
        bench.crash = lambda _name: None

    return run


def test_a_cached_answer_is_no_poll(bench: Bench) -> None:
    bench.run_once()
    cursor = bench.spool.cursor()
    bench.api.reply_with(Answer(200, {}, lines(5).encode(), 0, from_cache=True))

    summary = bench.run_once()

    assert (summary.cache_hits, summary.polls, summary.failed_polls) == (1, 0, 0)
    assert summary.ledger == Ledger()
    assert bench.spool.cursor() == cursor
    assert len(bench.events.of(Spooled)) == 1


def test_a_poll_of_several_requests_goes_on_after_a_cached_answer(tmp_path: Path) -> None:
    cached = Answer(200, {}, lines(1).encode(), 0, from_cache=True)
    with make_engine(Pages(), [cached, lines(2)], tmp_path) as bench:
        summary = bench.run_once()
        asked = [request.template for request in bench.api.requests]

    assert asked == ["/0", "/1"]
    assert (summary.polls, summary.cache_hits, summary.ledger.published) == (1, 0, 2)


def test_only_cached_answers_are_no_poll(tmp_path: Path) -> None:
    cached = Answer(200, {}, lines(1).encode(), 0, from_cache=True)
    with make_engine(Pages(), [cached], tmp_path) as bench:
        summary = bench.run_once()

        assert (summary.polls, summary.cache_hits, len(bench.api.requests)) == (0, 1, 2)
        assert bench.spool.cursor() is None


def test_the_fetcher_knows_whose_rows_are_durable(bench: Bench) -> None:
    bench.run_once()

    assert bench.api.spool_id == bench.spool.spool_id


def test_an_empty_answer_is_a_poll(bench: Bench) -> None:
    bench.api.reply_with("")

    summary = bench.run_once()

    assert (summary.ending, summary.polls, summary.empty_polls) == ("done", 1, 1)
    assert bench.spool.cursor() == b"1"


def test_the_fetcher_hears_that_an_answer_is_durable(bench: Bench) -> None:
    bench.run_once()

    assert bench.api.settled_answers == 1


def test_polls_come_at_the_interval(bench: Bench) -> None:
    summary = bench.run_forever(for_s=300)

    assert (summary.polls, summary.ledger.duplicate) == (5, 8)
    assert (summary.ending, summary.ledger.published) == ("done", 2)


def test_a_failing_source_is_not_asked_before_it_allows_it(bench: Bench) -> None:
    bench.api.reply_with(SourceUnavailable("429", retry_after_s=200))

    summary = bench.run_forever(for_s=300)

    assert (summary.failed_polls, summary.ending) == (2, "failed")


def test_a_poll_that_fails_does_not_end_a_long_run(bench: Bench) -> None:
    bench.api.fail_next(SourceUnavailable("503"), SourceUnavailable("503"))

    summary = bench.run_forever(for_s=300)

    assert (summary.failed_polls, summary.polls, summary.ledger.published) == (2, 3, 2)


def test_a_stop_delivers_what_waits_and_ends(bench: Bench) -> None:
    stop = threading.Event()

    def reply(_request: object) -> str:
        stop.set()
        return lines(3)

    bench.api._function = reply

    summary = bench.run_forever(for_s=1e9, stop=stop)

    assert (summary.ending, summary.polls) == ("stopped", 1)
    assert (summary.ledger.published, summary.ledger.pending) == (3, 0)


def test_many_bad_rows_in_a_good_answer_are_delivered_and_announced(bench: Bench) -> None:
    bench.api.reply_with(lines(16) + "".join(f"bad {n}\n" for n in range(4)))

    summary = bench.run_once()

    assert summary.ledger.published == 20
    assert bench.events.of(Degraded) == []  # a fifth is not more than a fifth
    bench.api.reply_with(lines(15) + "".join(f"worse {n}\n" for n in range(6)))
    bench.run_once()
    (told,) = bench.events.of(Degraded)
    assert "6 of 21 rows are bad" in told.reason


def test_few_rows_say_nothing_about_the_schema(bench: Bench) -> None:
    bench.api.reply_with("".join(f"bad {n}\n" for n in range(19)))

    bench.run_once()

    assert bench.events.of(Degraded) == []


def test_rejects_stay_here_where_there_is_no_dead_letter_topic(tmp_path: Path) -> None:
    with make_engine(FakeSource(), [lines(1) + "bad\n"], tmp_path, dlq_enabled=False) as bench:
        first, second = bench.run_once(), bench.run_once()

    assert first.ledger == Ledger(fetched=2, accepted=1, rejected=1, published=1, quarantined=1)
    assert second.ledger == Ledger(fetched=2, duplicate=2)
    assert (first.ledger_faults, second.ledger_faults) == ((), ())
    assert [m.topic for m in bench.kafka.visible()] == [TOPIC]


def test_an_engine_runs_once(bench: Bench) -> None:
    """A second run on it would spool and deliver nothing, and say that all is done."""
    engine = bench.engine()
    engine.run_once()

    with pytest.raises(RuntimeError, match="make another"):
        engine.run_once()


def test_a_long_run_without_one_good_poll_has_failed(bench: Bench) -> None:
    bench.api.fail_next(*[SourceUnavailable("HTTP 503")] * 100)

    summary = bench.run_forever(65.0)

    assert (summary.ending, summary.polls) == ("failed", 0)
    assert "HTTP 503" in summary.message


def test_a_run_that_is_stopped_in_its_first_poll_did_not_fail(tmp_path: Path) -> None:
    stop = threading.Event()

    def stopped_on_the_way(_request: Request) -> str:
        stop.set()
        raise SourceUnavailable("stopped")

    with make_engine(FakeSource(), stopped_on_the_way, tmp_path) as bench:
        summary = bench.engine().run_forever(stop)

    assert (summary.ending, summary.message) == ("stopped", "")
