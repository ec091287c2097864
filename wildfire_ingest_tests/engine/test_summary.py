"""Windows between two snapshots of one run, and the counters that they are cut from."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from wildfire_ingest.assembly import SourceRoutes
from wildfire_ingest.dispatch.settings import RoutingSettings, ThrottleSettings
from wildfire_ingest.dispatch.topic_resolver import TopicResolver
from wildfire_ingest.engine.events import Paused
from wildfire_ingest.engine.summary import COUNTERS, RunSummary
from wildfire_ingest.intake.intake import Intake, IntakeSettings
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.record import Lane
from wildfire_ingest.testing import DLQ_TOPIC, TOPIC, Bench, FakeSource, make_engine
from wildfire_ingest_tests.engine.lines import lines

GAUGES = {
    "queue_size",
    "throttle_level",
    "total_sent",
    "uptime_s",
    "epoch",
}
"""Numbers that are as they are now."""


def summary(**changes: Any) -> RunSummary:
    return RunSummary(source_id="s", ending="running", **{"ledger": Ledger(), **changes})


def test_every_number_is_a_counter_or_a_gauge() -> None:
    numbers = {f.name for f in fields(RunSummary) if f.type in {"int", "float"}}

    assert numbers == set(COUNTERS) | GAUGES


def test_a_window_has_what_came_since_the_last_one() -> None:
    first = summary(**dict.fromkeys(COUNTERS, 3))
    second = summary(**dict.fromkeys(COUNTERS, 10))

    window = second.since(first)

    assert {name: getattr(window, name) for name in COUNTERS} == dict.fromkeys(COUNTERS, 7)


def test_a_windows_ledger_has_its_rows_and_what_waits_now() -> None:
    first = summary(ledger=Ledger(fetched=10, published=4, pending=6))
    second = summary(ledger=Ledger(fetched=12, published=9, pending=3))

    assert second.since(first).ledger == Ledger(fetched=2, published=5, pending=3)


def test_gauges_of_a_window_are_as_now() -> None:
    first = summary(consumer_lag=9, throttle_level=3, uptime_s=60, total_sent=5, epoch=1)
    second = summary(consumer_lag=2, throttle_level=1, uptime_s=120, total_sent=8, epoch=1)

    window = second.since(first)

    assert (window.consumer_lag, window.throttle_level) == (2, 1)
    assert (window.uptime_s, window.total_sent) == (120, 8)


def test_a_topic_to_which_nothing_went_is_not_in_the_window() -> None:
    first = summary(topics={"a": 5, "b": 1}, resolutions={"pattern": 6})
    second = summary(topics={"a": 7, "b": 1, "c": 2}, resolutions={"pattern": 10})

    window = second.since(first)

    assert window.topics == {"a": 2, "c": 2}
    assert window.resolutions == {"pattern": 4}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_engine(FakeSource(), [lines(4)], tmp_path) as one:
        yield one


def test_a_snapshot_says_how_long_the_run_has_lasted(bench: Bench) -> None:
    engine = bench.engine()
    before = engine.snapshot()

    engine.run_forever(threading.Event(), for_s=90)
    after = engine.snapshot()

    assert (before.duration_s, before.uptime_s) == (0, 0)
    assert after.duration_s >= 90
    assert after.since(before).duration_s == after.duration_s
    assert after.ending == "running"


def test_a_run_counts_its_own_requests_of_a_client_that_lives_longer(bench: Bench) -> None:
    bench.run_once()

    assert bench.run_once().api_calls == 1


def test_the_queues_and_the_producers_counters_are_in_the_summary(bench: Bench) -> None:
    summary = bench.run_once()

    assert (summary.queue_enqueued, summary.queue_dequeued, summary.queue_size) == (4, 4, 0)
    assert (summary.total_sent, summary.delivery_retries) == (4, 0)


def test_a_load_that_is_sent_again_is_a_retry(bench: Bench) -> None:
    bench.kafka.lose_answer("aborted")

    summary = bench.run_once()

    assert (summary.delivery_failures, summary.delivery_retries) == (1, 1)
    assert summary.queue_dequeued == 8


def test_a_lost_answer_of_a_commit_that_took_place_is_no_retry(bench: Bench) -> None:
    bench.kafka.lose_answer("committed")

    assert bench.run_once().delivery_retries == 0


def test_a_summary_says_when_a_poll_and_when_a_new_row_last_came(bench: Bench) -> None:
    bench.run_once()
    bench.clock.advance(3600)

    summary = bench.run_once()  # the same rows again

    assert summary.newest_poll_age_s is not None
    assert summary.newest_poll_age_s < 60
    assert summary.newest_row_age_s is not None
    assert summary.newest_row_age_s >= 3600


def test_the_whole_account_of_the_spool_is_in_every_runs_summary(bench: Bench) -> None:
    bench.run_once()

    summary = bench.run_once()

    assert (summary.ledger.published, summary.life.published) == (0, 4)


def test_every_time_the_throttle_holds_a_publisher_back_is_counted(tmp_path: Path) -> None:
    throttle = ThrottleSettings(consumer_groups={TOPIC: ("readers",)}, min_send_rate=0)
    numbers = itertools.count()

    with make_engine(
        FakeSource(),
        lambda _request: lines(1, prefix=f"{next(numbers)}-"),
        tmp_path,
        lane=Lane.HIGH,
        throttle=throttle,
        polling_interval_s=1.0,
    ) as bench:
        bench.lag.lag = 1_000_000
        summary = bench.run_forever(for_s=100)

    assert summary.throttle_pauses >= len(bench.events.of(Paused)) > 0
    assert summary.throttle_adjustments > 0


def test_records_of_a_constant_topic_are_counted_by_the_rule_that_chose_it(bench: Bench) -> None:
    rules = RoutingSettings(source_topics={"source": TOPIC}, declared=frozenset({TOPIC}))
    routes = SourceRoutes(TopicResolver(rules), "source", Lane.NORMAL)
    settings = IntakeSettings(
        source_id="source",
        source_type="fake",
        window_s=bench.source.window_s,
        default_lane=Lane.NORMAL,
        default_topic=TOPIC,
        dlq_topic=DLQ_TOPIC,
    )
    bench.intake = Intake(settings, routes)

    first, second = bench.run_once(), bench.run_once()

    assert (first.resolutions, second.resolutions) == ({"source": 4}, {})
