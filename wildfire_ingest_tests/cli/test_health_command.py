"""`health` says what is wrong, and its exit code says how much."""

import json

import pytest

from wildfire_ingest.observe import health as looking
from wildfire_ingest.observe.health import Finding
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE


@pytest.fixture
def broker_is(monkeypatch):
    """Puts a verdict in the cluster's place."""

    def put(verdict, reason=""):
        found = Finding("broker", "localhost:9092", verdict, reason)
        monkeypatch.setattr(looking, "broker", lambda _config, _timeout_s: found)

    return put


@pytest.mark.parametrize(
    ("verdict", "options", "code"),
    [
        ("ok", [], 0),
        ("ok", ["--strict"], 0),
        ("degraded", [], 0),
        ("degraded", ["--strict"], 1),
        ("down", [], 1),
    ],
)
def test_the_exit_code_is_the_verdict(wildfire, write_config, broker_is, verdict, options, code):
    broker_is(verdict)

    assert wildfire("health", *options, config=write_config()).exit_code == code


def test_a_table_has_a_row_for_each_part_and_its_reason(wildfire, write_config, broker_is):
    broker_is("degraded", "topics are missing: \x1b[31mred")

    found = wildfire("health", config=write_config())

    rows = [line.split()[:3] for line in found.stdout.splitlines()]
    assert rows == [
        ["part", "name", "verdict"],
        ["broker", "localhost:9092", "degraded"],
        ["spool", SOURCE, "ok"],
        ["api", SOURCE, "ok"],
    ]
    assert "\\x1b[31mred" in found.stdout
    assert "somebody should look" in found.stderr


def test_one_json_object_has_it_all(wildfire, write_config, broker_is):
    broker_is("ok")

    found = json.loads(wildfire("health", SOURCE, "--json", config=write_config()).stdout)

    assert found["verdict"] == "ok"
    assert [sorted(one) for one in found["findings"]] == [["name", "part", "reason", "verdict"]] * 3


def test_a_source_that_does_not_exist_is_a_usage_error(wildfire, write_config):
    assert wildfire("health", "nobody", config=write_config()).exit_code == 2


def test_a_broker_that_is_away_is_down_in_the_time_that_is_configured(wildfire, write_config):
    config = write_config()
    data = json.loads(config.read_text())
    config.write_text(json.dumps({**data, "health_check": {"timeout_seconds": 1}}))

    found = wildfire("health", config=config)

    assert found.exit_code == 1
    assert "127.0.0.1:1" in found.stdout
    assert MAP_KEY not in found.output
