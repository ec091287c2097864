"""Every wrong file is refused with its line, its key, what was found and what is valid."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from wildfire_ingest.config.loader import load
from wildfire_ingest.errors import ConfigError

ENVIRON = {"FIRMS_MAP_KEY": "demo", "KAFKA_SASL_PASSWORD": "demo"}
FIRMS = "sources:\n  f:\n    source_type: nasa_firms\n"
BATCH = FIRMS + "    ingestion:\n      mode: batch\n"
PARAMS = FIRMS + "    custom_params:\n"

WRONG: dict[str, tuple[str, str]] = {
    # the file itself
    "empty file": ("", "1: (the file): found no mapping; expected keys such as kafka:"),
    "a list": ("- kafka\n", "1: (the file): found no mapping"),
    "broken yaml": ("kafka: {\n", "found broken YAML ("),
    "duplicate key": (
        "kafka:\n  linger_ms: 1\n  linger_ms: 2\n",
        "3: kafka.linger_ms: found the key again (first on line 2); expected each key once",
    ),
    "duplicate block": (
        "sources: {}\nkafka: {}\nsources: {}\n",
        "3: sources: found the key again (first on line 1)",
    ),
    "alias": ("kafka: &k {}\nthrottling: *k\n", "1: (the file): found an anchor or alias"),
    "merge key": ("kafka:\n  <<: {linger_ms: 1}\n", "2: (the file): found a merge key (<<)"),
    "python tag": (
        "kafka: !!python/object/apply:os.system [id]\n",
        "1: (the file): found a tag (!); expected a plain value",
    ),
    "key that is a number": ("topics:\n  7: {}\n", "2: (the file): found a key that is not text"),
    "two documents": ("kafka: {}\n---\nkafka: {}\n", "found a second document; expected one"),
    # unknown keys
    "misspelt block": (
        "kafak: {}\n",
        "1: kafak: found an unknown key; expected one of kafka, throttling",
    ),
    "nearest block": ("kafak: {}\n", "(did you mean kafka?)"),
    "misspelt key": (
        "kafka:\n  bootstrap_server: b:9092\n",
        "2: kafka.bootstrap_server: found an unknown key",
    ),
    "nearest key": ("kafka:\n  bootstrap_server: b:1\n", "(did you mean bootstrap_servers?)"),
    "key of a topic": (
        "topics:\n  a:\n    partition: 3\n",
        "3: topics.a.partition: found an unknown key; expected one of name, partitions",
    ),
    "key of a source": (
        FIRMS + "    enable: true\n",
        "4: sources.f.enable: found an unknown key; expected one of source_id, source_type",
    ),
    "key of ingestion": (
        BATCH + "      schedule_interval: 60\n",
        "6: sources.f.ingestion.schedule_interval: found an unknown key",
    ),
    "key of custom_params": (
        PARAMS + "      prodct: MODIS_NRT\n",
        "5: sources.f.custom_params.prodct: found an unknown key; expected one of product",
    ),
    "key of a rule": (
        "topic_rules:\n  patterns:\n    - pattern: x\n      topics: y\n",
        "4: topic_rules.patterns[0].topics: found an unknown key; expected one of pattern, topic",
    ),
    # types and ranges
    "text for a number": (
        "queue_max_size: many\n",
        "1: queue_max_size: found 'many'; expected a whole number",
    ),
    "quoted number": (
        "queue_max_size: '10'\n",
        "1: queue_max_size: found '10'; expected a whole number",
    ),
    "yes for true": ("enable_dlq: yes\n", "1: enable_dlq: found 'yes'; expected true or false"),
    "number for a list": ("priority_sources: 3\n", "1: priority_sources: found 3; expected a list"),
    "list for a mapping": ("kafka: [a]\n", "1: kafka: found a list; expected a mapping"),
    "list of sources": (
        "sources:\n  - source_type: nasa_firms\n",
        "1: sources: found a list; expected a mapping: source id -> its keys",
    ),
    "text for a source": ("sources:\n  f: on\n", "2: sources.f: found 'on'; expected a mapping"),
    "negative": ("kafka:\n  linger_ms: -1\n", "2: kafka.linger_ms: found -1; expected at least 0"),
    "too large": (
        PARAMS + "      day_range: 10\n",
        "5: sources.f.custom_params.day_range: found 10; expected at most 5",
    ),
    "no choice": (
        "kafka:\n  compression_type: zst\n",
        (
            "2: kafka.compression_type: found 'zst'; expected one of none, gzip, snappy, lz4, zstd"
            " (did you mean zstd?)"
        ),
    ),
    "no such mode": (
        FIRMS + "    ingestion: {mode: realtime}\n",
        (
            "4: sources.f.ingestion.mode: found 'realtime'; expected one of batch, real_time,"
            " continuous_streaming (did you mean real_time?)"
        ),
    ),
    "missing key": (
        "sources:\n  f: {enabled: true}\n",
        "2: sources.f.source_type: found nothing; expected a value for source_type",
    ),
    "server without port": (
        "kafka:\n  bootstrap_servers: broker\n",
        "2: kafka.bootstrap_servers: found 'broker'; expected host:port",
    ),
    "rule without condition": (
        "topic_rules:\n  content:\n    - {field: event, priority: high}\n",
        "3: topic_rules.content[0]: found a mapping; expected a condition: equals, matches or",
    ),
    "rule without effect": (
        "topic_rules:\n  content:\n    - {field: event, exists: true}\n",
        "3: topic_rules.content[0]: found a mapping; expected an effect: topic or priority",
    ),
    # names
    "source id with a dash": (
        "sources:\n  firms-modis: {source_type: nasa_firms}\n",
        "2: sources.firms-modis.source_id: found 'firms-modis'; expected letters, digits and _",
    ),
    "other source id inside": (
        FIRMS + "    source_id: g\n",
        "4: sources.f.source_id: found 'g'; expected its key 'f'",
    ),
    "unknown source type": (
        "sources:\n  f:\n    source_type: nasa_firm\n",
        "3: sources.f.source_type: found 'nasa_firm'; expected one of nasa_firms, noaa_weather,",
    ),
    "nearest source type": (
        "sources:\n  f:\n    source_type: nasa_firm\n",
        "(did you mean nasa_firms?)",
    ),
    "topic name": (
        "topics:\n  a b: {}\n",
        "2: topics.a b: found the topic name 'a b'; expected at most 249",
    ),
    # between keys
    "lag order": (
        "throttling:\n  target_consumer_lag: 5000\n  critical_consumer_lag: 5000\n",
        (
            "3: throttling.critical_consumer_lag: found 5000; expected more than"
            " target_consumer_lag (5000)"
        ),
    ),
    "rate order": (
        "throttling:\n  min_send_rate: 10\n  max_send_rate: 5\n",
        "3: throttling.max_send_rate: found 5.0; expected at least min_send_rate (10.0)",
    ),
    "undeclared topic": (
        "topics:\n  wildfire-fire: {}\n" + FIRMS + "    topic: wildfire-fires\n",
        (
            "6: sources.f.topic: found the undeclared topic 'wildfire-fires'; expected a topic"
            " declared under topics: (did you mean wildfire-fire?)"
        ),
    ),
    "undeclared in mapping": (
        FIRMS + "custom_topic_mappings:\n  f: nowhere\n",
        "5: custom_topic_mappings.f: found the undeclared topic 'nowhere'",
    ),
    "undeclared in pattern": (
        "topic_rules:\n  patterns:\n    - pattern: x\n      topic: nowhere\n",
        "4: topic_rules.patterns[0].topic: found the undeclared topic 'nowhere'",
    ),
    "undeclared in content": (
        "topic_rules:\n  content:\n    - {field: a, exists: true, topic: nowhere}\n",
        "3: topic_rules.content[0].topic: found the undeclared topic 'nowhere'",
    ),
    "undeclared in groups": (
        "throttling:\n  consumer_groups:\n    nowhere: [g]\n",
        "3: throttling.consumer_groups.nowhere: found the undeclared topic 'nowhere'",
    ),
    "offsets among records": (
        "topics:\n  a: {}\nkafka:\n  offsets_topic: a\n",
        "4: kafka.offsets_topic: found 'a'; expected a topic of its own",
    ),
    "invalid regex": (
        "topic_rules:\n  patterns:\n    - {pattern: 'a(', topic: wildfire-default}\n",
        "3: topic_rules.patterns[0].pattern: found 'a('; expected a regular expression",
    ),
    "runaway regex": (
        "topic_rules:\n  patterns:\n    - {pattern: '(a+)+$', topic: wildfire-default}\n",
        "this is a repeat inside a repeat, which can take for ever",
    ),
    "runaway content regex": (
        "topic_rules:\n  content:\n    - {field: e, matches: '(a|a)*b', priority: low}\n",
        "this is a choice (|) inside a repeat, which can take for ever",
    ),
    "too many copies in sync": (
        "topics:\n  a:\n    min_insync_replicas: 2\n",
        "3: topics.a.min_insync_replicas: found 2; expected at most replication_factor (1)",
    ),
    "topic property twice": (
        "topics:\n  a:\n    config: {retention.ms: 5}\n",
        "3: topics.a.config.retention.ms: found retention.ms; expected its own key retention_ms",
    ),
    "acks": (
        "kafka:\n  client_config:\n    acks: 1\n",
        "3: kafka.client_config.acks: found acks; expected no acks here: exactly once needs",
    ),
    "own key in client_config": (
        "kafka:\n  client_config:\n    linger.ms: 1\n",
        "found linger.ms; expected its own key kafka.linger_ms",
    ),
    "unknown client_config": (
        "kafka:\n  client_config:\n    batch.num.message: 1\n",
        (
            "expected a librdkafka setting that may be passed through (did you mean"
            " batch.num.messages?)"
        ),
    ),
    "sasl without mechanism": (
        "kafka:\n  security_protocol: SASL_SSL\n",
        "kafka.sasl_mechanism: found nothing; expected a value, as security_protocol is SASL_SSL",
    ),
    "sasl key without sasl": (
        "kafka:\n  sasl_username: me\n",
        "2: kafka.sasl_username: found sasl_username with security_protocol PLAINTEXT",
    ),
    "interval no cron can say": (
        BATCH + "      schedule_interval_seconds: 2700\n",
        (
            "6: sources.f.ingestion.schedule_interval_seconds: found 2700; expected an interval"
            " that a cron line can say (nearest: 1800 or 3600), or schedule_cron"
        ),
    ),
    "broken cron": (
        BATCH + "      schedule_cron: '61 * * * *'\n",
        "6: sources.f.ingestion.schedule_cron: found the minute '61'; expected minute hour day",
    ),
    "interval and cron": (
        BATCH + "      schedule_interval_seconds: 60\n      schedule_cron: '* * * * *'\n",
        "7: sources.f.ingestion.schedule_cron: found an interval and a cron line; expected one of",
    ),
    "polling in batch": (
        BATCH + "      polling_interval_seconds: 30\n",
        (
            "6: sources.f.ingestion.polling_interval_seconds: found polling_interval_seconds in"
            " mode batch; expected it only in mode continuous_streaming or real_time"
        ),
    ),
    "schedule in real_time": (
        FIRMS + "    ingestion: {mode: real_time, schedule_interval_seconds: 60}\n",
        "found schedule_interval_seconds in mode real_time; expected it only in mode batch",
    ),
    "buffer in real_time": (
        FIRMS + "    ingestion: {buffer_size: 10}\n",
        "found buffer_size in mode real_time; expected it only in mode continuous_streaming",
    ),
    "plain http": (
        FIRMS + "    base_url: http://example.org\n",
        (
            "4: sources.f.base_url: found plain http to 'example.org'; expected https, or"
            " allow_insecure_http: true"
        ),
    ),
    "no address": (
        FIRMS + "    base_url: ftp://example.org\n",
        "expected https://host or https://host:port",
    ),
    "owner": (
        FIRMS + "    owners: [me]\n",
        "4: sources.f.owners[0]: found 'me'; expected an e-mail address or team:name",
    ),
    # nasa_firms
    "product": (
        PARAMS + "      product: VIIRS_SNP_NRT\n",
        "5: sources.f.custom_params.product: found 'VIIRS_SNP_NRT'; expected one of VIIRS_SNPP_NRT",
    ),
    "area order": (
        PARAMS + "      area: '-66,24,-125,49'\n",
        "found '-66,24,-125,49'; expected west < east, both within -180..180",
    ),
    "area path": (
        PARAMS + "      area: '../../x'\n",
        "found '../../x'; expected west,south,east,north",
    ),
    "region": (PARAMS + "      region: KONUS\n", "(did you mean CONUS?)"),
    "area and region": (
        PARAMS + "      area: world\n      region: CA\n",
        "6: sources.f.custom_params.region: found region beside area; expected one of them",
    ),
    "cloud cover of a source not built": (
        "sources:\n  s:\n    source_type: satellite\n    custom_params: {cloud_cover_max: 101}\n",
        "4: sources.s.custom_params.cloud_cover_max: found 101; expected at most 100",
    ),
    # environment
    "reference outside": (
        "kafka:\n  dlq_topic: ${ENV:KAFKA_TOPIC}\n",
        "2: kafka.dlq_topic: found '${ENV:KAFKA_TOPIC}'; expected a plain value here",
    ),
    "part of a value": (
        "kafka:\n  bootstrap_servers: '${ENV:KAFKA_HOST}:9092'\n",
        "expected ${ENV:NAME} as the whole value",
    ),
    "name not allowed": (
        "kafka:\n  bootstrap_servers: ${ENV:PATH}\n",
        "2: kafka.bootstrap_servers: found ${ENV:PATH}; expected a name with one of the prefixes",
    ),
    "unset": (
        PARAMS + "      map_key: ${ENV:FIRMS_OTHER_KEY}\n",
        (
            "5: sources.f.custom_params.map_key: found ${ENV:FIRMS_OTHER_KEY} without a value;"
            " expected the environment variable FIRMS_OTHER_KEY to be set"
        ),
    ),
    "literal secret": (
        PARAMS + "      map_key: abc\n",
        (
            "5: sources.f.custom_params.map_key: found a literal value (not shown); expected"
            " ${ENV:NAME}, e.g. ${ENV:WILDFIRE_MAP_KEY}"
        ),
    ),
    "secret elsewhere": (
        "kafka:\n  client_id: 0123456789abcdef0123456789abcdef\n",
        "2: kafka.client_id: found what looks like a secret (not shown)",
    ),
    "wrong overlay": (
        "environment:\n  production:\n    kafka.linger: 3\n",
        "3: kafka.linger: found an unknown key; expected one of bootstrap_servers",
    ),
    "overlay of overlays": (
        "environment:\n  production:\n    environment_name: x\n",
        "3: environment.production.environment_name: found an overlay of the overlays",
    ),
}


def refused(text: str, folder: Path, environ: dict[str, str], name: str = "c.yaml") -> str:
    path = folder / name
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ=environ)
    return str(caught.value)


def test_the_table_has_at_least_forty_files() -> None:
    assert len(WRONG) >= 40


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_its_message(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]

    message = refused(text, tmp_path, ENVIRON)

    place = str(tmp_path / "c.yaml")
    assert any(
        line.startswith(f"{place}:") and expected in line.removeprefix(f"{place}:")
        for line in message.splitlines()
    ), message


def test_all_errors_are_listed_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
    kafak: {}
    queue_max_size: many
    throttling: {target_consumer_lag: 9000}
    sources:
      f: {source_type: nasa_firms, topic: nowhere, custom_params: {product: X, day_range: 9}}
      g: {source_type: unheard_of}
    """

    message = refused(textwrap.dedent(text), tmp_path, ENVIRON)

    lines = [int(line.split(":")[1]) for line in message.splitlines()]
    assert lines == [1, 2, 3, 5, 5, 5, 6]


def test_a_missing_key_for_an_enabled_source_is_an_error_and_for_a_disabled_one_a_warning(
    tmp_path: Path,
) -> None:
    text = PARAMS + "      map_key: ${ENV:FIRMS_MAP_KEY}\n"

    assert "FIRMS_MAP_KEY to be set" in refused(text, tmp_path, {})

    (tmp_path / "off.yaml").write_text(text + "    enabled: false\n")
    loaded = load(tmp_path / "off.yaml", environ={})
    assert "env_unset" in [one.rule for one in loaded.warnings]


def test_a_bad_variable_is_named_instead_of_a_line(tmp_path: Path) -> None:
    message = refused("kafka: {}\n", tmp_path, {"WILDFIRE_KAFKA_BOOTSTRAP_SERVERS": "nonsense"})

    assert message.startswith(
        "environment variable WILDFIRE_KAFKA_BOOTSTRAP_SERVERS: kafka.bootstrap_servers: found"
    )


def test_an_unknown_environment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    message = refused("environment: {production: {}}\n", tmp_path, {"WILDFIRE_ENV": "prodction"})

    assert "(did you mean production?)" in message


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="WILDFIRE_CONFIG"):
        load(tmp_path / "absent.yaml", environ={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n\t"kafka": {},\n\t"kafka": {}\n}', ":3: kafka: found the key again (first on line 2)"),
        ('{\n "queue_max_size": "x"\n}', ":2: queue_max_size: found 'x'; expected a whole number"),
        ('{\n "kafka": {\n}', ": (the file): found broken JSON ("),
        ("kafka: {}", ":1: (the file): found broken JSON ("),
    ],
)
def test_json_is_refused_with_lines_too(text: str, expected: str, tmp_path: Path) -> None:
    assert expected in refused(text, tmp_path, {}, "c.json")


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5000 + "]" * 5000,
        "a: " + "x" * 600_000,
        "a: \xff\x00".encode("latin-1").decode("latin-1"),
        "a: " + "9" * 5000,
    ],
)
def test_hostile_files_are_refused_quickly(text: str, tmp_path: Path) -> None:
    assert "expected" in refused(text, tmp_path, {}) or "levels" in refused(text, tmp_path, {})


def test_a_bad_source_id_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("sources: {'bad id!': {source_type: nasa_firms}}")

    with pytest.raises(ConfigError) as caught:
        load(path, environ={"FIRMS_MAP_KEY": "demo"})

    (line,) = str(caught.value).splitlines()
    assert "found 'bad id!'; expected letters, digits and _ only" in line
