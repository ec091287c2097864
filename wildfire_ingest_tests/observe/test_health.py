"""Health: each part's verdict, its reason, and an answer in bounded time."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config import build, loader
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.pause import Pause, pause
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.observe.health import Finding, api, broker, health, spool, worst
from wildfire_ingest.observe.limits_view import LimitsView
from wildfire_ingest.observe.spool_view import SpoolView
from wildfire_ingest.observe.status import SourceStatus
from wildfire_ingest.testing import FakeSource, make_engine
from wildfire_ingest_tests.engine.lines import lines

MAP_KEY = "feedfacefeedfacefeedfacefeedface"
DLQ = "wildfire-dlq-failed-messages"
GIB = 1 << 30
HOUR_S = 3600.0


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "stream_config.yaml"
    source = {
        "source_type": "nasa_firms",
        "ingestion": {"mode": "batch", "schedule_interval_seconds": 3600},
        "custom_params": {"map_key": "${ENV:FIRMS_MAP_KEY}"},
    }
    data = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "topics": {"wildfire-nasa-firms": {}},
        "sources": {"firms": source},
    }
    path.write_text(yaml.safe_dump(data))
    return loader.load(path, environ={"FIRMS_MAP_KEY": MAP_KEY}).config


@pytest.fixture
def source(config):
    return config.sources["firms"]


def seen(*, ledger=None, epochs=None, limits=None, **changes) -> SourceStatus:
    view = None
    if ledger is not None:
        view = SpoolView(
            ledger=ledger,
            lanes={},
            pending={},
            cursor=None,
            last_gap=None,
            owner_epochs=epochs or {},
        )
    known: dict[str, Any] = {"spool": view, "limits": limits or LimitsView(), **changes}
    return SourceStatus(
        source_id="firms",
        source_type="nasa_firms",
        enabled=True,
        mode="batch",
        running_as=None,
        **known,
    )


WELL = Ledger(fetched=5, accepted=5, published=5)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (seen(), "ok", "has not run here yet"),
        (seen(ledger=WELL), "ok", "0 records wait"),
        (seen(damage="firms.db cannot be read"), "down", "cannot be read"),
        (seen(ledger=Ledger(fetched=5)), "down", "the books do not close"),
        (seen(ledger=WELL, epochs={"superseded": 3}), "down", "recover firms --take-over"),
        (seen(ledger=WELL, oldest_pending_age_s=599.0), "ok", ""),
        (seen(ledger=WELL, oldest_pending_age_s=7300.0), "degraded", "the oldest for 2 h"),
    ],
)
def test_a_spool_is_judged_by_what_it_says_of_itself(found, verdict, words):
    finding = spool(found, GIB, 1000)

    assert (finding.part, finding.name, finding.verdict) == ("spool", "firms", verdict)
    assert words in finding.reason


@pytest.mark.parametrize(("free", "verdict"), [(999, "down"), (1999, "degraded"), (2000, "ok")])
def test_a_disk_that_fills_is_seen_before_polling_waits_for_it(free, verdict):
    assert spool(seen(ledger=WELL), free, 1000).verdict == verdict


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (seen(), "ok", "no poll has succeeded here yet"),
        (seen(last_poll_age_s=3 * HOUR_S), "ok", "3 h ago"),
        (seen(last_poll_age_s=4 * HOUR_S), "degraded", "expected every 60 min"),
        (
            seen(limits=LimitsView(circuit="open", failures_in_a_row=10, opens_again_in_s=42.0)),
            "down",
            "10 requests in a row have failed; a trial follows in 42 s",
        ),
        (seen(limits=LimitsView(circuit="half_open")), "degraded", "on trial"),
        (seen(limits=LimitsView(circuit="unknown")), "degraded", "cannot be read"),
        (seen(limits=LimitsView(paused_for_s=90.0)), "degraded", "90 s are left"),
        (seen(limits=LimitsView(quota_units=5000, quota_spent=4600)), "degraded", "4600 of"),
        (seen(limits=LimitsView(quota_units=5000, quota_spent=4500)), "ok", ""),
        (
            seen(
                paused=Pause(1_767_225_600 * SECOND_US, "maintenance"), last_poll_age_s=90 * HOUR_S
            ),
            "ok",
            "paused since 2026-01-01T00:00:00",
        ),
    ],
)
def test_an_api_is_judged_by_whether_it_may_be_asked_and_was(found, verdict, words, source):
    finding = api(found, source)

    assert (finding.part, finding.verdict) == ("api", verdict)
    assert words in finding.reason


def test_a_sensor_that_looks_and_finds_nothing_is_not_overdue(source):
    ingestion = source.ingestion.model_copy(
        update={"mode": "real_time", "schedule_interval_seconds": None}
    )
    watched = source.model_copy(update={"ingestion": ingestion})

    assert api(seen(last_poll_age_s=90 * HOUR_S), watched).verdict == "ok"


def well(config, _timeout_s):
    return Finding("broker", config.kafka.bootstrap_servers, "ok", "")


def test_everything_that_was_asked_is_in_the_answer(config, source):
    found = health(config, [source], probe=well)

    assert [(x.part, x.name, x.verdict) for x in found.findings] == [
        ("broker", "127.0.0.1:1", "ok"),
        ("spool", "firms", "ok"),
        ("api", "firms", "ok"),
    ]
    assert found.verdict == "ok"
    assert found.as_json()["findings"][1]["reason"] == "it has not run here yet"


def test_health_changes_nothing(config, source):
    health(config, [source], probe=well)

    assert not config.state_dir.exists()


def test_a_spool_that_ran_and_a_pause_are_read(config, source):
    one = Spool(build.spool_settings(config, "firms", window_s=86_400))
    one.append([], None, Ledger(fetched=1, duplicate=1), SystemClock().now_us())
    one.close()
    pause(config.state_dir, "firms", "storm drill", SystemClock().now_us())

    found = health(config, [source], probe=well)

    assert found.of("spool")[0].reason == "0 records wait"
    assert "storm drill" in found.of("api")[0].reason


def test_what_does_not_answer_in_time_is_down_and_holds_up_nothing(config, source):
    never = threading.Event()

    def hangs(_config, _timeout_s):
        never.wait(30)
        return well(_config, _timeout_s)

    begun = time.monotonic()
    found = health(config, [source], timeout_s=0.3, probe=hangs)
    took_s = time.monotonic() - begun
    never.set()

    assert took_s < 5
    assert [x.verdict for x in found.findings] == ["down", "ok", "ok"]
    assert found.findings[0].reason == "no answer in 0.3 s"


def test_an_error_while_looking_is_a_finding(config, source):
    def breaks(_config, _timeout_s):
        raise OSError("the disk has gone")

    (finding,) = health(config, [], probe=breaks).findings

    assert finding.verdict == "down"
    assert "the disk has gone" in finding.reason


def test_a_broker_that_is_away_is_down_and_its_reason_names_no_secret(config):
    finding = broker(config, 0.5)

    assert finding.verdict == "down"
    assert MAP_KEY not in finding.reason


def test_the_worst_decides():
    assert worst([]) == "ok"
    assert worst(["ok", "down", "degraded"]) == "down"


@pytest.fixture
def cluster():
    """Brokers that librdkafka runs in this process: (address, makes a topic)."""
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (found,) = owner.list_topics(timeout=5).brokers.values()

    def make(*names):
        for name in names:
            owner.produce(name, b"x")
        owner.flush(5)

    return f"{found.host}:{found.port}", make


@pytest.mark.parametrize(
    ("topics", "verdict", "words"),
    [
        ([], "down", "offset records, wildfire-ingest-offsets, is missing"),
        (["wildfire-ingest-offsets"], "degraded", "wildfire-nasa-firms"),
        (
            ["wildfire-ingest-offsets", "wildfire-nasa-firms", "wildfire-default", DLQ],
            "ok",
            "1 broker(s)",
        ),
    ],
)
def test_a_cluster_is_well_when_it_has_the_topics(config, cluster, topics, verdict, words):
    address, make = cluster
    make(*topics)
    kafka = config.kafka.model_copy(update={"bootstrap_servers": address})

    finding = broker(config.model_copy(update={"kafka": kafka}), 5.0)

    assert finding.verdict == verdict
    assert words in finding.reason


def test_records_of_a_source_that_is_no_longer_configured_are_not_forgotten(config):
    with make_engine(FakeSource(source_id="renamed"), [lines(1)], config.state_dir) as bench:
        bench.run_once()  # a spool that is new polls only when it knows what Kafka holds
        bench.kafka.go_away(10**9)
        bench.api.reply_with(lines(3))
        bench.settings = replace(bench.settings, give_up_after_s=1.0)
        waiting = bench.run_once().ledger.pending

    found = health(config, [], probe=lambda *_: Finding("broker", "b", "ok", ""))

    (left,) = [one for one in found.findings if one.name == "renamed"]
    assert waiting > 0
    assert left.verdict == "degraded"
    assert f"{waiting} records wait" in left.reason
