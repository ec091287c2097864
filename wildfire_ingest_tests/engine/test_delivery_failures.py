"""Every class of delivery failure leads where the protocol says, and never to twice or lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wildfire_ingest.engine.events import DeadLettered, Degraded, DeliveryFailed, Paused
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.errors import (
    BrokerUnavailable,
    DeliveryDenied,
    DeliveryError,
    ProducerFenced,
    RecordRefused,
)
from wildfire_ingest.record import Lane
from wildfire_ingest.testing import (
    DLQ_TOPIC,
    TOPIC,
    Bench,
    FakeRoutes,
    FakeSink,
    FakeSource,
    Message,
    Reading,
    make_engine,
)
from wildfire_ingest_tests.engine.lines import line, lines


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_engine(FakeSource(), [lines(4)], tmp_path) as one:
        yield one


def ids(bench: Bench) -> list[str]:
    return sorted(message.id for message in bench.kafka.visible())


def once_each(bench: Bench, n: int) -> bool:
    return len(ids(bench)) == len(set(ids(bench))) == n


# the outcome of a commit is unknown


@pytest.mark.parametrize("outcome", ["committed", "aborted", "late"])
def test_a_commit_without_an_answer_is_decided_by_reading(bench: Bench, outcome: str) -> None:
    bench.kafka.lose_answer(outcome)  # type: ignore[arg-type]

    summary = bench.run_once()
    bench.kafka.deliver_late()

    assert (summary.ending, summary.ledger.published, summary.ledger.pending) == ("done", 4, 0)
    assert (once_each(bench, 4), summary.delivery_failures) == (True, 1)
    assert summary.topics == {TOPIC: 4}


def test_many_lost_answers_in_a_row_end_well(bench: Bench) -> None:
    for outcome in ("late", "aborted", "late", "committed"):
        bench.kafka.lose_answer(outcome)

    assert bench.run_once().ending == "done"
    bench.kafka.deliver_late()
    assert once_each(bench, 4)


# the broker refuses a record (E1)


def test_a_refused_record_alone_becomes_a_dead_letter_after_1_2_and_4_s(bench: Bench) -> None:
    bench.kafka.refuse = lambda m: m.topic == TOPIC and m.json()["station"] == "s2"

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger.dead) == ("done", 4, 1)
    assert [m.json()["station"] for m in bench.kafka.visible(TOPIC)] == ["s0", "s1", "s3"]
    (letter,) = bench.kafka.visible(DLQ_TOPIC)
    assert letter.json()["station"] == "s2"
    assert letter.dead is not None
    assert (letter.dead.stage, letter.dead.attempts) == ("broker", 4)
    assert letter.dead.original_topic == TOPIC
    assert [event.records for event in bench.events.of(DeadLettered)] == [1]
    assert [w for w in bench.clock.waits if w in {1.0, 2.0, 4.0}][:3] == [1.0, 2.0, 4.0]


def test_a_record_that_is_refused_only_for_a_while_is_no_dead_letter(bench: Bench) -> None:
    refusals = iter([True, True])
    bench.kafka.refuse = lambda m: next(refusals, False)

    summary = bench.run_once()

    assert (summary.ledger.published, summary.ledger.dead) == (4, 0)
    assert once_each(bench, 4)


def test_other_lanes_go_on_while_one_waits(tmp_path: Path) -> None:
    def lane(body: object) -> Lane:
        assert isinstance(body, Reading)
        return Lane.LOW if body.station.startswith("l") else Lane.NORMAL

    def refuse(message: Message) -> bool:
        return message.topic == TOPIC and message.json()["station"] == "l0"

    with make_engine(
        FakeSource(),
        [lines(2, prefix="l") + lines(2, prefix="n")],
        tmp_path,
        routes=FakeRoutes(TOPIC, lane),
    ) as bench:
        bench.kafka.refuse = refuse
        assert bench.run_once().ending == "done"

    seen = [m.json()["station"] for m in bench.kafka.visible()]
    assert seen[:2] == ["n0", "n1"]
    assert sorted(seen[2:]) == ["l0", "l1"]


def test_an_outage_while_the_record_is_looked_for_is_only_an_outage(bench: Bench) -> None:
    bench.kafka.refuse = lambda m: m.topic == TOPIC and m.json()["station"] == "s2"
    bench.settings = _with(bench, max_retries=0)
    calls = iter(range(100))
    real = FakeSink.accepts

    def accepts(self: FakeSink, *args: object) -> bool:
        if next(calls) == 1:
            raise BrokerUnavailable("gone for a moment")
        return real(self, *args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSink, "accepts", accepts)
        summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger.dead) == ("done", 4, 1)
    assert once_each(bench, 4)


def test_a_batch_refused_whole_while_each_record_passes_is_a_persons_business(bench: Bench) -> None:
    bench.kafka.fail_next_send(*[RecordRefused("too large", code="MSG_SIZE_TOO_LARGE")] * 4)

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.pending, summary.ledger.dead) == ("failed", 4, 0)
    assert "batch.size" in summary.message


def _with(bench: Bench, **changes: object):
    from dataclasses import replace

    return replace(bench.settings, **changes)  # type: ignore[arg-type]


# the broker is away (E2)


def test_an_outage_is_waited_out_and_dead_letters_nothing(bench: Bench) -> None:
    bench.run_once()
    bench.api.reply_with(lines(4, 2))
    bench.kafka.fail_next_send(BrokerUnavailable("no leader"))

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger.dead) == ("done", 4, 0)
    assert [e.error_class for e in bench.events.of(DeliveryFailed)] == ["BrokerUnavailable"]


def test_a_broker_away_at_the_start_is_waited_for(bench: Bench) -> None:
    bench.kafka.go_away(30)

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published) == ("done", 4)


def test_a_run_gives_up_after_120_s_and_the_next_one_drains_first(bench: Bench) -> None:
    bench.run_once()
    bench.api.reply_with(lines(4, 2))
    real = bench.kafka.failure
    bench.kafka.failure = lambda: _gone(bench)  # type: ignore[method-assign]

    summary = bench.run_once()

    assert (summary.ending, summary.succeeded) == ("undelivered", False)
    assert "spooled 4 records" in summary.message
    assert (summary.ledger.pending, summary.ledger_faults) == (4, ())
    assert 120 < summary.duration_s < 180
    bench.kafka.go_away(0)
    bench.kafka.failure = real  # type: ignore[method-assign]
    after = bench.engine().deliver_pending()
    assert (after.ending, after.polls, after.ledger.published) == ("done", 0, 4)
    assert once_each(bench, 8)


def _gone(bench: Bench) -> DeliveryError:
    bench.kafka.go_away(10**9)
    return BrokerUnavailable("the broker was killed")


def test_a_run_that_cannot_even_begin_gives_up_too(bench: Bench) -> None:
    bench.kafka.go_away(10**9)

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.pending) == ("undelivered", 0)


def test_an_outage_before_and_an_outage_after_are_two_outages(bench: Bench) -> None:
    """What got through in between, if only found by reading, began the 120 s anew."""
    bench.run_once()
    bench.settings = _with(bench, polling_interval_s=100.0)
    bench.kafka.lose_answer("committed")
    bench.api.reply_with(lines(4, 2), lines(4, 2), lines(4, 3))
    bench.events.emit = _second_outage(bench)  # type: ignore[method-assign]

    summary = bench.run_forever(for_s=350)

    assert (summary.ending, summary.ledger.pending) == ("done", 0)


def _second_outage(bench: Bench):
    from wildfire_ingest.engine.events import Event, Spooled

    spooled = iter(range(100))

    def emit(event: Event) -> None:
        if isinstance(event, Spooled) and next(spooled) == 2:
            bench.kafka.fail_next_send(BrokerUnavailable("again"))

    return emit


def test_a_stop_during_an_outage_ends_soon_and_keeps_everything(bench: Bench) -> None:
    bench.run_once()
    bench.api.reply_with(lines(4, 2))
    stop = threading.Event()

    def gone() -> DeliveryError:
        stop.set()
        return _gone(bench)

    bench.kafka.failure = gone  # type: ignore[method-assign]

    summary = bench.engine().run_once(stop)

    assert (summary.ending, summary.ledger.pending) == ("undelivered", 4)


# the producer is fenced (E3)


def test_a_fenced_producer_that_is_still_ours_goes_on(bench: Bench) -> None:
    bench.kafka.fail_next_send(ProducerFenced("the broker's own time-out", code="_FENCED"))

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published) == ("done", 4)
    assert 2.0 in bench.clock.waits
    assert once_each(bench, 4)


def test_another_owner_ends_the_run_and_its_loads_stay(bench: Bench) -> None:
    def claimed() -> None:
        other = FakeSink(bench.kafka, "source", owner="the other")
        other.claim(other.inspect(0).epoch + 1)
        bench.kafka.failure = real  # type: ignore[method-assign]

    real = bench.kafka.failure
    bench.kafka.failure = claimed  # type: ignore[method-assign]

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.pending) == ("superseded", 4)
    assert "the other" in summary.message
    assert bench.kafka.visible() == []


def test_a_superseded_spool_publishes_again_only_when_a_person_says_so(bench: Bench) -> None:
    test_another_owner_ends_the_run_and_its_loads_stay(bench)

    again = bench.run_once()
    allowed = bench.run_once(Permissions(take_over=True))

    assert (again.ending, again.ledger.published) == ("superseded", 0)
    assert "--take-over" in again.message
    assert (allowed.ending, allowed.ledger.published) == ("done", 4)


# we are not let in (E4)


def test_a_refusal_to_let_us_in_is_announced_and_dead_letters_nothing(bench: Bench) -> None:
    bench.kafka.fail_next_send(DeliveryDenied("no ACL"), DeliveryDenied("no ACL"))

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.published, summary.ledger.dead) == ("done", 4, 0)
    assert [event.reason for event in bench.events.of(Degraded)] == ["no ACL", "no ACL"]


def test_a_lasting_refusal_ends_the_run_with_everything_spooled(bench: Bench) -> None:
    bench.kafka.fail_next_send(*[DeliveryDenied("no ACL")] * 1000)

    summary = bench.run_once()

    assert (summary.ending, summary.ledger.pending, summary.ledger.dead) == ("undelivered", 4, 0)


# the throttle


def test_critical_goes_although_the_lag_is_critical(tmp_path: Path) -> None:
    from wildfire_ingest.dispatch.settings import ThrottleSettings

    def lane(body: object) -> Lane:
        assert isinstance(body, Reading)
        return Lane.CRITICAL if body.urgent else Lane.HIGH

    throttle = ThrottleSettings(consumer_groups={TOPIC: ("readers",)}, batch_size=1)
    body = line("calm") + line("calm2") + line("alarm", urgent=True)
    with make_engine(
        FakeSource(), [body], tmp_path, routes=FakeRoutes(TOPIC, lane), throttle=throttle
    ) as bench:
        bench.lag.lag = 1_000_000
        summary = bench.run_forever(for_s=100)

    assert (summary.ending, summary.throttle_state) == ("done", "CRITICAL")
    assert next(iter(bench.kafka.visible())).json()["station"] == "alarm"
    assert len(bench.kafka.visible()) == 3
    assert all(event.publisher == "express" for event in bench.events.of(Paused))


def test_a_broker_that_answers_and_takes_nothing_is_tried_about_once_a_second(
    bench: Bench,
) -> None:
    bench.kafka.fail_next_send(*[BrokerUnavailable("no leader")] * 500)

    summary = bench.run_once()

    assert summary.ending == "undelivered"
    assert summary.delivery_failures <= 125  # 120 s until it gives up
