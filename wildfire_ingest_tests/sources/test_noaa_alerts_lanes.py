"""Alerts about fire and evacuation go in the critical lane, the others in the one below."""

from pathlib import Path

import pytest

from wildfire_ingest.assembly import SourceRoutes, build_intake, build_source
from wildfire_ingest.config import build
from wildfire_ingest.config.loader import load
from wildfire_ingest.dispatch.topic_resolver import TopicResolver
from wildfire_ingest.record import Lane
from wildfire_ingest.sources.fire_detection import FireDetection
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.weather_alert import WeatherAlert
from wildfire_ingest.testing import TOPIC, FakeRoutes, make_engine
from wildfire_ingest_tests.sources.alerts import collection, feature, only

SOURCE = "noaa_alerts_oregon"
PLAIN = f"sources:\n  {SOURCE}: {{source_type: noaa_alerts, custom_params: {{state: OR}}}}\n"


def configured(tmp_path: Path, text: str = PLAIN):
    path = tmp_path / "stream_config.yaml"
    path.write_text(text)
    return load(path, environ={}).config


def routes(config) -> SourceRoutes:
    resolver = TopicResolver(build.routing_settings(config))
    return SourceRoutes(resolver, SOURCE, build.lane(config, SOURCE))


def lane_of(config, event: str) -> Lane:
    lane = routes(config).lane(WeatherAlert)
    assert callable(lane)
    return lane(only(feature(event=event)).body)


@pytest.mark.parametrize(
    ("event", "lane"),
    [
        ("Red Flag Warning", Lane.CRITICAL),
        ("Fire Weather Watch", Lane.CRITICAL),
        ("Extreme Fire Danger", Lane.CRITICAL),
        ("Fire Warning", Lane.CRITICAL),
        ("Evacuation Immediate", Lane.CRITICAL),
        ("Evacuation - Be Ready", Lane.CRITICAL),
        ("RED FLAG WARNING", Lane.CRITICAL),
        ("Flood Advisory", Lane.HIGH),
        ("Air Quality Alert", Lane.HIGH),
        ("Hurricane Local Statement about a Red Flag Warning", Lane.HIGH),
        ("Fire Warning Test", Lane.HIGH),
    ],
)
def test_alerts_about_fire_go_in_the_critical_lane_and_others_in_the_next(event, lane, tmp_path):
    assert lane_of(configured(tmp_path), event) is lane


def test_a_rule_of_the_file_wins_over_the_built_in_one(tmp_path):
    rule = "topic_rules:\n  content:\n    - {field: event, equals: Fire Warning, priority: low}\n"

    config = configured(tmp_path, PLAIN + rule)

    assert lane_of(config, "Fire Warning") is Lane.LOW
    assert lane_of(config, "Red Flag Warning") is Lane.CRITICAL


def test_a_priority_of_the_source_is_for_its_other_alerts(tmp_path):
    config = configured(tmp_path, PLAIN.replace("custom_params", "priority: low, custom_params"))

    assert lane_of(config, "Flood Advisory") is Lane.LOW
    assert lane_of(config, "Red Flag Warning") is Lane.CRITICAL


def test_other_records_keep_their_one_lane(tmp_path):
    assert routes(configured(tmp_path)).lane(FireDetection) is Lane.HIGH


def test_the_real_intake_of_a_configured_source_packs_each_alert_into_its_lane(tmp_path):
    config = configured(tmp_path)
    source = build_source(config, SOURCE)
    answer = collection(feature(1), feature(2, event="Flood Advisory"))
    decoded = source.read(answer)

    packed = build_intake(config, source).weigh(
        decoded, decoded.records[0].observed_at_s * 1_000_000
    )

    assert [(one.lane, one.n) for one in packed.packed] == [
        (Lane.CRITICAL, 1),
        (Lane.HIGH, 1),
    ]


def test_alerts_of_both_lanes_arrive_through_the_real_engine(tmp_path):
    config = configured(tmp_path)
    source = build_source(config, SOURCE)
    assert isinstance(source, NoaaAlerts)
    answer = collection(feature(1), feature(2, event="Flood Advisory"))
    found = FakeRoutes(TOPIC, routes(config).lane(WeatherAlert))

    with make_engine(source, [answer], tmp_path, routes=found) as bench:
        summary = bench.run_once()

    assert summary.succeeded
    assert {m.json()["event"] for m in bench.kafka.visible(TOPIC)} == {
        "Red Flag Warning",
        "Flood Advisory",
    }
