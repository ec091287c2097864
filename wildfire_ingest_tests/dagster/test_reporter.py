"""What Dagster is told of a run, window by window: no more than there is to say."""

import time
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.observe.checks import BOOKS, DEAD_LETTERS, LAG, NAMES
from wildfire_ingest.orchestration import translator
from wildfire_ingest.orchestration.reporter import CHECKS_EVERY_S, WindowReporter, metadata_of
from wildfire_ingest.testing import FakeClock
from wildfire_ingest_tests.dagster.conftest import document

TOPIC = "wildfire-nasa-firms"
NOTHING = Ledger()
GOOD = Ledger(fetched=100, accepted=100, published=100)


def window(ledger=NOTHING, **changes):
    known = {"life": GOOD, "uptime_s": 120.0, "duration_s": 60.0, **changes}
    return RunSummary(source_id="firms_test", ending="running", ledger=ledger, **known)


@pytest.fixture
def config(configured):
    return configured(document(throttling={"consumer_groups": {TOPIC: ["readers"]}}))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def reporter(config, clock):
    return WindowReporter(config, config.sources["firms_test"], clock)


def value(metadata, name) -> Any:
    return metadata[name].value


def kinds(events):
    return [type(event) for event in events if not isinstance(event, dg.AssetCheckEvaluation)]


def verdicts(events):
    return {
        event.check_name: event.passed
        for event in events
        if isinstance(event, dg.AssetCheckEvaluation)
    }


def test_a_window_that_sent_records_is_a_materialization_with_their_count(config, reporter):
    events = reporter.events(window(GOOD, topics={TOPIC: 100}))

    assert events[0].asset_key == translator.source_key(config.sources["firms_test"])
    metadata = events[0].metadata
    assert value(metadata, "dagster/row_count") == 100
    assert value(metadata, "records_per_s") == pytest.approx(100 / 60, abs=0.001)
    assert value(metadata, "topic_usage") == {TOPIC: 100}


def test_the_topic_is_shown_as_filled_at_first_and_then_every_hour(reporter, clock):
    def topics():
        told = kinds(events := reporter.events(window(GOOD, topics={TOPIC: 100})))
        assert set(told) == {dg.AssetMaterialization}
        return [x.asset_key for x in events[: len(told)]].count(translator.topic_key(TOPIC))

    first, between = topics(), topics()
    clock.advance(CHECKS_EVERY_S)

    assert (first, between, topics()) == (1, 0, 1)


def test_a_topic_that_got_none_of_the_records_is_not_told(reporter):
    events = reporter.events(window(GOOD, topics={"another": 100}))

    assert kinds(events) == [dg.AssetMaterialization]


def test_dead_letters_alone_are_no_data(reporter):
    events = reporter.events(window(Ledger(fetched=3, rejected=3, published=3, dead=3)))

    assert kinds(events) == [dg.AssetObservation]


@pytest.mark.parametrize(
    "trouble",
    [
        {"failed_polls": 1},
        {"delivery_failures": 1},
        {"throttle_pauses": 1},
        {"ledger": Ledger(fetched=1, rejected=1)},
        {"ledger": Ledger(evicted=1)},
        {"ledger": Ledger(quarantined=1)},
        {"ledger_faults": ("fetched 4 rows, 3 of them explained",)},
    ],
)
def test_a_window_in_which_something_went_wrong_is_an_observation(reporter, trouble):
    assert kinds(reporter.events(window(**trouble))) == [dg.AssetObservation]


def test_a_quiet_window_is_not_told(reporter):
    quiet = window(Ledger(fetched=50, duplicate=50), polls=2, empty_polls=2, api_calls=2)
    reporter.events(quiet)

    assert reporter.events(quiet) == []


def test_the_first_window_and_the_last_tell_every_check(reporter):
    first, between = reporter.events(window()), reporter.events(window())
    last = reporter.events(window(), final=True)

    assert set(verdicts(first)) == set(verdicts(last)) == set(NAMES)
    assert verdicts(between) == {}


def test_a_verdict_that_changes_is_told_at_once_and_alone(reporter):
    reporter.events(window())
    bad = {"life": Ledger(accepted=50, rejected=50)}

    assert verdicts(reporter.events(window(**bad))) == {DEAD_LETTERS: False}
    assert verdicts(reporter.events(window(**bad))) == {}
    assert verdicts(reporter.events(window())) == {DEAD_LETTERS: True}


def test_a_warning_that_becomes_an_error_is_a_change(reporter):
    reporter.events(window(consumer_lag=1500))

    (event,) = reporter.events(window(consumer_lag=9000))

    assert (event.check_name, event.severity) == (LAG, dg.AssetCheckSeverity.ERROR)


def test_verdicts_that_stay_are_told_now_and_then(reporter, clock):
    reporter.events(window())
    clock.advance(CHECKS_EVERY_S)

    assert set(verdicts(reporter.events(window()))) == set(NAMES)
    assert reporter.events(window()) == []


def test_books_that_do_not_close_fail_their_check(reporter):
    events = reporter.events(window(ledger_faults=("fetched 4 rows, 3 of them explained",)))

    assert verdicts(events)[BOOKS] is False


def test_names_and_types_of_the_metadata_do_not_depend_on_what_happened(reporter):
    busy = window(
        GOOD, polls=3, api_calls=3, api_errors=1, consumer_lag=7, newest_observed_age_s=12.5
    )
    quiet = metadata_of(window(consumer_lag=0, newest_observed_age_s=0.5))

    assert {k: type(v) for k, v in metadata_of(busy).items()} == {
        k: type(v) for k, v in quiet.items()
    }
    assert value(metadata_of(busy), "counters").keys() == value(quiet, "counters").keys()


def test_what_is_not_known_is_left_out_and_not_zero():
    assert {"consumer_lag", "data_age_s"}.isdisjoint(metadata_of(window()))


def test_every_components_counters_are_in_the_metadata():
    metadata = metadata_of(window(GOOD, consumer_lag=3, newest_observed_age_s=1.0))

    names = {*metadata, *value(metadata, "counters")}
    assert names >= {
        *("total_sent", "delivery_failures", "delivery_retries"),
        *("queue_size", "queue_enqueued", "queue_dequeued", "queue_dropped"),
        *("throttle_state", "throttle_level", "throttle_adjustments"),
        *("topic_usage", "resolutions"),
        *("records_sent", "failed_polls", "empty_polls"),
        *("api_success_rate", "cache_hits"),
    }


def test_a_materialization_is_small():
    metadata = metadata_of(window(GOOD, consumer_lag=3, newest_observed_age_s=1.0))

    event = dg.AssetMaterialization(dg.AssetKey("x"), metadata=metadata)

    assert len(metadata) <= 20
    assert len(dg.serialize_value(event)) < 4000


def test_a_window_costs_the_run_less_than_a_millisecond(reporter):
    busy = window(GOOD, consumer_lag=3)
    reporter.events(busy)
    begun = time.perf_counter()

    for _ in range(50):
        reporter.events(busy)

    assert (time.perf_counter() - begun) / 50 < 0.001


@pytest.mark.parametrize(
    ("source", "hours"),
    [
        ({}, 24),
        ({"ingestion": {"mode": "batch", "schedule_interval_seconds": 86_400}}, 72),
        ({"ingestion": {"mode": "batch", "schedule_cron": "0 6 * * mon"}}, 21 * 24),
        ({"freshness_seconds": 7200}, 2),
    ],
)
def test_a_source_is_stale_after_its_apis_silence_or_three_polls_or_as_written(
    configured, source, hours
):
    data = document()
    data["sources"]["firms_test"] |= source
    config = configured(data)

    policy: Any = translator.source_spec(config, config.sources["firms_test"]).freshness_policy

    assert policy.fail_window.to_timedelta().total_seconds() == hours * 3600
    assert policy.warn_window.to_timedelta().total_seconds() == hours * 1800


def test_stations_are_stale_after_hours_and_alerts_after_days(configured):
    data = document()
    firms = data["sources"]["firms_test"]
    for name in ("noaa_weather", "noaa_alerts"):
        data["sources"][name] = {"source_type": name, "ingestion": dict(firms["ingestion"])}
    config = configured(data)

    assert config.sources["noaa_weather"].freshness_s == 3 * 3600
    assert config.sources["noaa_alerts"].freshness_s == 7 * 86_400


def test_every_name_is_documented(request):
    text = (request.config.rootpath / "docs" / "metrics.md").read_text("utf-8")
    full = window(
        GOOD, consumer_lag=3, newest_observed_age_s=1.0, message="stopped", ledger_faults=("x",)
    )
    metadata = metadata_of(replace(full, ending="stopped"))

    names = {*metadata, *value(metadata, "counters"), *NAMES}
    assert {name for name in names if f"`{name}`" not in text} == set()
