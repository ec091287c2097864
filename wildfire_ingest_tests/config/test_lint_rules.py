"""What is valid but doubtful is named, and what is fine is not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from wildfire_ingest.config.loader import load

API = "source_type: nasa_firms, ingestion: {mode: batch, schedule_interval_seconds: %d}"
DOUBTFUL: dict[str, tuple[str, str, str]] = {
    "cache not below the poll": (
        "sources: {f: {source_type: nasa_firms, cache_ttl_seconds: 30}}",
        "sources.f.cache_ttl_seconds",
        "30 s is not below the poll interval of 30 s",
    ),
    "quota of one key": (
        (
            f"sources:\n  a: {{{API % 60}, custom_params: {{area: world, day_range: 5}}}}\n"
            f"  b: {{{API % 60}, custom_params: {{area: world, day_range: 5, "
            "product: VIIRS_NOAA20_NRT}}\n"
            f"  c: {{{API % 60}, custom_params: {{area: world, day_range: 5, "
            "product: VIIRS_NOAA21_NRT}}"
        ),
        "sources.c.ingestion",
        "a, b, c together take 5400 units in 10 minutes of one key's 5000",
    ),
    "rate above the quota": (
        (
            f"sources: {{f: {{{API % 900}, rate_limit_per_minute: 60, "
            "custom_params: {area: world}}}"
        ),
        "sources.f.rate_limit_per_minute",
        "break the key's quota of 5000 units",
    ),
    "rate above the API's": (
        "sources: {p: {source_type: openaq, rate_limit_per_minute: 100}}",
        "sources.p.rate_limit_per_minute",
        "100 is more than the 60 requests a minute that the API allows",
    ),
    "shadowed pattern": (
        (
            "topic_rules: {patterns: [{pattern: ^noaa_, topic: wildfire-default}, "
            "{pattern: ^noaa_alerts, topic: wildfire-default}]}"
        ),
        "topic_rules.patterns[1]",
        "stands below '^noaa_', which takes all that it would",
    ),
    "pattern twice": (
        (
            "topic_rules: {patterns: [{pattern: ^noaa_, topic: wildfire-default}, "
            "{pattern: ^NOAA_, topic: wildfire-default}]}"
        ),
        "topic_rules.patterns[1]",
        "can never match: the same pattern stands above",
    ),
    "pattern no id can have": (
        "topic_rules: {patterns: [{pattern: fire-map, topic: wildfire-default}]}",
        "topic_rules.patterns[0]",
        "can never match: ids hold letters, digits and _ only",
    ),
    "condition twice": (
        (
            "topic_rules: {content: [{field: a, equals: 1, priority: low}, "
            "{field: a, equals: 1, priority: high}]}"
        ),
        "topic_rules.content[1]",
        "can never match: the same condition stands above",
    ),
    "absent field with a value": (
        "topic_rules: {content: [{field: a, exists: false, equals: 1, priority: low}]}",
        "topic_rules.content[0]",
        "can never match: a field that does not exist has no value",
    ),
    "mapping of no source": (
        "sources: {f: {source_type: nasa_firms}}\ncustom_topic_mappings: {ff: wildfire-default}",
        "custom_topic_mappings.ff",
        "can never match: there is no source ff (did you mean f?)",
    ),
    "one copy on a cluster": (
        "kafka: {bootstrap_servers: 'a:1,b:1,c:1'}\ntopics: {t: {replication_factor: 1}}",
        "topics.t.replication_factor",
        "1: losing that one broker loses the topic",
    ),
    "readable far away": (
        "kafka: {bootstrap_servers: 'broker.example:9092'}",
        "kafka.security_protocol",
        "PLAINTEXT to broker.example",
    ),
    "overlap": (
        (
            f"sources:\n  a: {{{API % 900}, custom_params: {{region: CA}}}}\n"
            f"  b: {{{API % 900}, custom_params: {{region: CONUS}}}}"
        ),
        "sources.b",
        "overlaps with a: the same detections would be sent by both",
    ),
    "area of a static file": (
        f"sources: {{a: {{{API % 900}, custom_params: {{feed: static, area: world}}}}}}",
        "sources.a.custom_params.area",
        "has no effect with feed: static",
    ),
    "a run for each half minute": (
        "sources: {f: {source_type: nasa_firms, ingestion: {execution: run}}}",
        "sources.f.ingestion.execution",
        "use execution: inline or mode: continuous_streaming",
    ),
    "key without effect": ("logging: {format: json}", "logging", "no effect yet"),
}


def warnings(text: str, folder: Path) -> list[tuple[str, str]]:
    path = folder / "c.yaml"
    path.write_text(textwrap.dedent(text))
    loaded = load(path, environ={"FIRMS_MAP_KEY": "demo", "FIRMS_KEY_2": "other"})
    return [(one.path, one.message) for one in loaded.warnings]


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_doubtful_file_loads_with_its_warning(case: str, tmp_path: Path) -> None:
    text, path, expected = DOUBTFUL[case]

    found = warnings(text, tmp_path)

    assert any(where == path and expected in message for where, message in found), found


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "kafka: {bootstrap_servers: '127.0.0.1:9092'}\ntopics: {t: {replication_factor: 1}}",
        (
            f"sources:\n  a: {{{API % 900}, custom_params: {{region: CA}}}}\n"
            f"  b: {{{API % 900}, custom_params: {{region: CA, product: MODIS_NRT}}}}"
        ),
        (
            f"sources:\n  a: {{{API % 900}, custom_params: {{area: '-10,0,0,10'}}}}\n"
            f"  b: {{{API % 900}, custom_params: {{area: '0,0,10,10'}}}}"
        ),
        (
            f"sources:\n  a: {{{API % 60}, cache_ttl_seconds: 0, custom_params: {{area: world}}}}\n"
            f"  b: {{{API % 60}, cache_ttl_seconds: 0, custom_params: {{area: world, "
            "product: MODIS_NRT, map_key: '${ENV:FIRMS_KEY_2}'}}"
        ),
    ],
)
def test_a_fine_file_has_no_warning(text: str, tmp_path: Path) -> None:
    assert warnings(text, tmp_path) == []


def test_nobody_is_warned_of_defaults_that_the_file_does_not_write(tmp_path: Path) -> None:
    assert not warnings("sources: {f: {source_type: nasa_firms}}", tmp_path)


def test_a_written_interval_below_the_default_cache_time_is_warned_of(tmp_path: Path) -> None:
    text = "sources: {f: {source_type: nasa_firms, ingestion: {polling_interval_seconds: 20}}}"

    found = warnings(text, tmp_path)

    assert any(where == "sources.f.cache_ttl_seconds" for where, _ in found)
