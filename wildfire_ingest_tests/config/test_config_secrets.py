"""A secret of the environment, or one written by mistake, is shown nowhere."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from wildfire_ingest.config import build
from wildfire_ingest.config.loader import load
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
