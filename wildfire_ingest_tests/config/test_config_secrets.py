"""A secret of the environment, or one written by mistake, is shown nowhere."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from wildfire_ingest.config import build
from wildfire_ingest.config.finding import InvalidConfig
from wildfire_ingest.config.loader import load
from wildfire_ingest.config.secrecy import looks_secret
from wildfire_ingest.errors import ConfigError

CANARY = "c4n4ry+%/ value"
TEXT = """
kafka:
  security_protocol: SASL_SSL
  sasl_mechanism: PLAIN
  sasl_username: me
  sasl_password: ${ENV:KAFKA_SASL_PASSWORD}
  ssl_key_password: ${ENV:KAFKA_KEY_PASSWORD}
sources:
  f:
    source_type: nasa_firms
    ingestion: {mode: batch}
    custom_params: {map_key: "${ENV:FIRMS_MAP_KEY}"}
  p:
    source_type: purpleair
    custom_params: {api_key: "${ENV:PURPLEAIR_API_KEY}"}
"""
NAMES = ("KAFKA_SASL_PASSWORD", "KAFKA_KEY_PASSWORD", "FIRMS_MAP_KEY", "PURPLEAIR_API_KEY")
ENVIRON = dict.fromkeys(NAMES, CANARY)


def test_no_form_of_the_configuration_shows_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(TEXT)
    config = load(path, environ=ENVIRON).config

    source = config.sources["f"]
    shown = [
        repr(config),
        str(config),
        str(config.model_dump()),
        json.dumps(config.model_dump(mode="json")),
        config.model_dump_json(),
        repr(copy.deepcopy(config)),
        repr(build.kafka_settings(config)),
        repr(build.firms_settings(source)),
        repr(build.fetch_settings(config, "f")),
    ]

    assert not [text for text in shown if "c4n4ry" in text]
    key = build.firms_settings(source).map_key
    assert key is not None
    assert key.reveal() == CANARY


def test_a_refused_file_does_not_show_the_secrets_beside_the_mistake(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(TEXT.replace("ingestion: {mode: batch}", "ingestion: {mode: x}") + "    y: 1\n")

    with pytest.raises(ConfigError) as caught:
        load(path, environ=ENVIRON)

    assert "c4n4ry" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


LITERAL = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"sources: {{f: {{source_type: nasa_firms, custom_params: {{map_key: {LITERAL}}}}}}}",
        f"sources: {{f: {{source_type: nasa_firms, custom_params: {{map_key: [{LITERAL}]}}}}}}",
        f"sources: {{f: {{source_type: nasa_firms, map_key: {LITERAL}}}}}",
        f"kafka: {{sasl_password: {LITERAL}}}",
        f"kafka: {{client_config: {{sasl.password: {LITERAL}}}}}",
        f"kafka: {{bootstrap_servers: '{LITERAL}'}}",
        f"sources: {{f: {{source_type: nasa_firms, base_url: 'https://x/{LITERAL}'}}}}",
        f"sources: {{f: {{source_type: nasa_firms, base_url: 'https://me:{LITERAL}@x'}}}}",
        f"sources: {{f: {{source_type: {LITERAL}}}}}",
        f"environment: {{production: {{kafka.client_id: {LITERAL}}}}}",
        f"api_key: {LITERAL}",
        f"{LITERAL}: 1",
        f"topics: {{{LITERAL}: {{partitions: x}}}}",
        f"kafka: {{sasl_password: {LITERAL}",
        f"kafka: {{sasl_password: {LITERAL}}}\nkafka: {{sasl_password: {LITERAL}}}",
    ],
)
def test_a_secret_written_in_the_file_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(path, environ={"FIRMS_MAP_KEY": "demo"})

    assert LITERAL not in str(caught.value)


def test_a_variable_s_value_is_not_interpolated_again(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(TEXT)
    environ = ENVIRON | {"FIRMS_MAP_KEY": "${ENV:KAFKA_SASL_PASSWORD}"}

    config = load(path, environ=environ).config

    key = build.firms_settings(config.sources["f"]).map_key
    assert key is not None
    assert key.reveal() == "${ENV:KAFKA_SASL_PASSWORD}"


ODD_SECRET = "sesame-open"


@pytest.mark.parametrize(
    "secret", [ODD_SECRET, "k3y", "1234", "LONG " + "wörd\x07 " * 20, "aB3dE5gH7jK9mN1pQ3sT5vW7"]
)
@pytest.mark.parametrize(
    "write",
    [
        lambda s: {"sources": {"f": {"source_type": "nasa_firms", "custom_params": {"area": s}}}},
        lambda s: {"sources": {"f": {"source_type": "nasa_firms", "custom_params": {s: 1}}}},
        lambda s: {"sources": {"f": {"source_type": s}}},
        lambda s: {"sources": {s: {"source_type": "nasa_firms", "cache_ttl_seconds": "x"}}},
        lambda s: {"sources": {"f": {"source_type": "nasa_firms", "source_id": s}}},
        lambda s: {"kafka": {"client_config": {s: 1}}},
        lambda s: {"environment": {s: {}}, "environment_name": "other"},
        lambda s: {"topics": {"a": {"config": {s: []}}}},
        lambda s: {"custom_topic_mappings": {s: "wildfire-default"}},
    ],
)
def test_a_value_of_the_environment_is_shown_nowhere_in_a_finding(write, secret, tmp_path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(write(secret)))

    try:
        said = load(path, environ={"FIRMS_MAP_KEY": "demo", "IOT_TOKEN": secret}).warnings
    except InvalidConfig as error:
        said = error.findings

    told = " ".join(f"{one.path} {one.message}" for one in said)
    assert "(not shown" in told
    for form in (secret, secret[:30], json.dumps(secret)[1:-1]):
        assert form not in told


def test_a_deployment_value_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("environment: {production: {}}")

    with pytest.raises(InvalidConfig, match="no environment 'prodution'"):
        load(path, environ={"WILDFIRE_ENV": "prodution"})


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        (LITERAL, True),
        (f"https://x/{LITERAL}/1", True),
        ("aB3dE5gH7jK9mN1pQ3sT5vW7", True),
        ("aaaaaaaabbbbbbbbccccccccddddddddee", False),
        ("abcdefabcdefabcdefabcdefabcdefabcdef", False),
        ("facade_" * 6, False),
        ("0" * 40, False),
        ("a_source_of_thirty_three_letters_", False),
        ("ViirsSnppNorthernCalifornia2024Detections", False),
        ("-124.482003,32.534156,-114.131211,42.009518", False),
    ],
)
def test_a_name_is_told_from_a_random_key(text: str, is_secret: bool) -> None:
    assert looks_secret(text) is is_secret
