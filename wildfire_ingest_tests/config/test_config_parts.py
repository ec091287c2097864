"""Schedules, patterns, settings and the reference page."""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wildfire_ingest.config import build, reference
from wildfire_ingest.config.document import parse
from wildfire_ingest.config.finding import printable
from wildfire_ingest.config.loader import load
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.pattern import fault
from wildfire_ingest.config.schedule import (
    INTERVALS_S,
    cron_fault,
    cron_of_interval,
    nearest_intervals,
)
from wildfire_ingest.delivery.settings import KafkaSettings, TopicSettings
from wildfire_ingest.dispatch.settings import QueueSettings, ThrottleSettings
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.intake.settings import SpoolSettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
IDS = st.from_regex(r"[A-Za-z0-9_]{1,30}", fullmatch=True)


def minutes_of(cron: str) -> list[int]:
    """The minutes of a week at which a cron line of ours starts a run."""

    def values(field: str, size: int) -> list[int]:
        span, _, step = field.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            return list(range(0, size, int(step or 1)))
        return list(range(int(low), int(high or low) + 1, int(step or 1)))

    minute, hour, _, _, weekday = cron.split()
    return [
        (day * 24 + h) * 60 + m
        for day in values(weekday, 7)
        for h in values(hour, 24)
        for m in values(minute, 60)
    ]


@given(IDS, st.sampled_from(INTERVALS_S))
@settings(max_examples=200, deadline=None)
def test_a_schedule_starts_exactly_an_interval_apart_the_week_round(
    source_id: str, interval_s: int
) -> None:
    cron = cron_of_interval(interval_s, source_id)

    assert cron is not None
    assert cron_fault(cron) is None
    starts = minutes_of(cron)
    week = 7 * 24 * 60
    gaps = {(b - a) % week or week for a, b in zip(starts, starts[1:] + starts[:1], strict=True)}
    assert gaps == {interval_s // 60}


def test_hourly_sources_do_not_all_start_at_one_minute() -> None:
    crons = {cron_of_interval(3600, f"source_{number}") for number in range(100)}

    assert len(crons) > 30


def test_a_source_keeps_its_minute_from_process_to_process() -> None:
    assert cron_of_interval(3600, "firms_modis") == "48 * * * *"


@given(st.integers(min_value=1, max_value=10**7).filter(lambda one: one not in INTERVALS_S))
@settings(max_examples=100, deadline=None)
def test_an_interval_without_cron_has_a_nearest_that_works(interval_s: int) -> None:
    assert cron_of_interval(interval_s, "x") is None
    assert nearest_intervals(interval_s)
    assert set(nearest_intervals(interval_s)) <= set(INTERVALS_S)


@pytest.mark.parametrize("cron", ["*/20 * * * *", "5 4 * * mon-fri", "0 0 1,15 jan *", "@daily"])
def test_a_valid_cron_line_is_accepted(cron: str) -> None:
    assert cron_fault(cron) is None


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *"]
)
def test_an_invalid_cron_line_is_refused(cron: str) -> None:
    assert cron_fault(cron) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*",
        "(.*)*x",
        "(a|aa)+$",
        "(a|b|ab)*c",
        "([a-z]+_)+x",
        "(a{1,50}){1,50}b",
        "a*a*a*a*b",
        r"(a+)\1",
        "(?=a)b",
        "a" * 201,
        "(",
        "[z-a]",
        "",
        "a{1,99999999999999999999}",
    ],
)
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    assert fault(pattern) is not None


@given(st.text(alphabet="ab_()*+?|^$.[]{}1,", min_size=1, max_size=25))
@settings(max_examples=300, deadline=None)
def test_an_accepted_pattern_is_quick_on_a_long_id(pattern: str) -> None:
    if fault(pattern) is not None:
        return
    compiled = re.compile(pattern, re.IGNORECASE)

    start = time.process_time()
    compiled.search("ab" * 250 + "_")
    compiled.search("a" * 500 + "1")

    assert time.process_time() - start < 0.5


def test_the_defaults_are_those_of_the_stages(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("sources: {f: {source_type: nasa_firms, enabled: false}}")
    config = load(tmp_path / "c.yaml", environ={}).config

    spool = build.spool_settings(config, "f", window_s=5)

    kafka = KafkaSettings(security={"security.protocol": "PLAINTEXT"})
    assert build.kafka_settings(config) == kafka
    assert build.throttle_settings(config) == ThrottleSettings()
    assert build.queue_settings(config, "f") == QueueSettings()
    assert build.topic_settings(config) == (TopicSettings(name="wildfire-default"),)
    assert spool == SpoolSettings(directory=config.state_dir, source_id="f", window_s=5)


def test_the_switches_of_the_earlier_file_act(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "performance: {enable_batching: false, enable_compression: false, enable_caching: false}\n"
        "enable_dlq: false\n"
        "sources: {f: {source_type: nasa_firms, enabled: false}}"
    )
    config = load(tmp_path / "c.yaml", environ={}).config

    assert build.kafka_settings(config).compression == "none"
    assert not build.kafka_settings(config).dlq_enabled
    assert build.fetch_settings(config, "f").cache_ttl_s == 0
    assert build.gather_settings(config, "f").records == 1


def test_sources_of_one_key_share_one_quota_that_does_not_name_the_key(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "sources:\n  a: {source_type: nasa_firms}\n"
        "  b: {source_type: nasa_firms, custom_params: {product: MODIS_NRT}}\n"
        "  c: {source_type: nasa_firms, custom_params: {feed: static, product: VIIRS_NOAA20_NRT}}\n"
    )
    config = load(tmp_path / "c.yaml", environ={"FIRMS_MAP_KEY": "canary"}).config

    quotas = [build.fetch_settings(config, source_id).quota for source_id in "abc"]

    assert quotas[0] is not None
    assert quotas[0] == quotas[1]
    assert (quotas[0].units, quotas[0].interval_s) == (5000, 600)
    assert "canary" not in quotas[0].name
    assert quotas[2] is None


def test_the_models_are_frozen_and_every_key_is_described() -> None:
    with pytest.raises(ValidationError):
        StreamConfig().queue_max_size = 3

    rows = [line for line in reference.render().splitlines() if line.startswith("| `")]
    assert all(row.split(" | ")[-1].strip(" |") for row in rows)
    assert len(rows) > 150


def test_the_reference_page_is_what_the_models_say() -> None:
    assert PAGE.read_text() == reference.render(), (
        "run: python -m wildfire_ingest.config.reference > docs/configuration.md"
    )


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes, is_json: bool) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(raw, file="x", is_json=is_json).data, dict)


def test_json_text_beyond_the_first_plane_is_kept() -> None:
    raw = json.dumps({"priority_sources": ["\U0001f525"]}).encode()

    assert parse(raw, file="x", is_json=True).data == {"priority_sources": ["\U0001f525"]}


@given(st.text(alphabet=st.characters()))
@settings(deadline=None)
def test_what_is_shown_is_one_bounded_line(text: str) -> None:
    line = printable(text)

    assert len(line.splitlines()) <= 1
    assert len(line) <= 60
    assert line.encode().decode() == line


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = (
    "kafka",
    "kafka.client_config",
    "throttling.consumer_groups",
    "topics",
    "topics.t",
    "topics.rules",
    "topic_rules",
    "topic_rules.patterns",
    "topic_rules.content",
    "sources",
    "sources.f",
    "sources.f.source_type",
    "sources.f.enabled",
    "sources.f.ingestion",
    "sources.f.custom_params",
    "sources.f.custom_params.map_key",
    "environment",
    "environment.production",
    "priority_sources",
)


@given(value=ANYTHING, path=st.sampled_from(PATHS))
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_value_anywhere_loads_or_is_refused(value: object, path: str, tmp_path: Path) -> None:
    data: dict[str, Any] = {"sources": {"f": {"source_type": "nasa_firms"}}}
    *parents, last = path.split(".")
    inner = data
    for part in parents:
        inner = inner.setdefault(part, {})
    inner[last] = value
    (tmp_path / "c.json").write_text(json.dumps(data))

    with contextlib.suppress(ConfigError):
        loaded = load(tmp_path / "c.json", environ={"FIRMS_MAP_KEY": "demo"})
        assert isinstance(loaded.config, StreamConfig)
