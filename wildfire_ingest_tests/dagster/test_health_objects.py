"""Health in Dagster: the sensor tells what has changed, the job and the checks tell at once."""

import json
from typing import Any

import dagster as dg
import pytest

from wildfire_ingest.observe.health import NOT_RUN, Finding, Health
from wildfire_ingest.orchestration import health as room
from wildfire_ingest.orchestration.health import PARTS, health_key, health_objects
from wildfire_ingest_tests.dagster.conftest import document

OK = Finding("broker", "localhost:9092", "ok", "1 broker(s), 2 topics")
AWAY = Finding("broker", "localhost:9092", "down", "no answer in 5 s")
WAITS = Finding("spool", "firms_test", "degraded", "9 records wait, the oldest for 2 h")


@pytest.fixture
def config(configured):
    return configured(document())


@pytest.fixture
def findings(monkeypatch):
    """What a look finds."""
    now = [OK]
    monkeypatch.setattr(room, "look", lambda _config: Health(tuple(now)))
    return now


@pytest.fixture
def sensor(config):
    (one,) = health_objects(config).sensors
    return one


def tick(sensor, cursor=None) -> Any:
    with dg.DagsterInstance.ephemeral() as instance:
        return sensor(dg.build_sensor_context(instance=instance, cursor=cursor))


def test_the_objects_load_together(config):
    objects = health_objects(config)
    defs = dg.Definitions(
        assets=objects.assets,
        asset_checks=objects.checks,
        jobs=objects.jobs,
        sensors=objects.sensors,
    )

    dg.Definitions.validate_loadable(defs)

    assert defs.resolve_asset_graph().asset_check_keys == {
        dg.AssetCheckKey(health_key(config), part) for part in PARTS
    }


def test_two_instances_have_each_their_own_asset(configured):
    data = document()
    first = configured({**data, "instance": "west"})
    second = configured({**data, "instance": "east"})

    assert health_key(first) != health_key(second)
    assert health_key(configured(data)).path[-1] == "default"


def test_the_first_look_is_told_with_a_verdict_for_each_part(sensor, config, findings):
    findings[:] = [AWAY, WAITS]

    report, *checks = tick(sensor).asset_events

    assert isinstance(report, dg.AssetMaterialization)
    assert report.asset_key == health_key(config)
    assert report.metadata["verdict"].value == "down"
    assert [(x.check_name, x.passed, x.severity.value) for x in checks] == [
        ("broker", False, "ERROR"),
        ("spool", False, "WARN"),
        ("api", True, "WARN"),
    ]
    assert checks[0].description == "localhost:9092: no answer in 5 s"


def test_a_look_that_finds_the_same_is_not_told(sensor, findings):
    cursor = tick(sensor).cursor

    again = tick(sensor, cursor)

    assert again.asset_events == []
    assert "as before" in again.skip_reason.skip_message


def test_a_verdict_that_changes_is_told(sensor, findings):
    cursor = tick(sensor).cursor
    findings[:] = [AWAY]

    changed = tick(sensor, cursor)
    back = changed.cursor
    findings[:] = [OK]

    assert len(changed.asset_events) == 4
    assert len(tick(sensor, back).asset_events) == 4


def test_a_reason_that_changes_alone_is_not_told(sensor, findings):
    findings[:] = [AWAY]
    cursor = tick(sensor).cursor
    findings[:] = [Finding("broker", "localhost:9092", "down", "connection refused")]

    assert tick(sensor, cursor).asset_events == []


def test_a_source_that_begins_is_told(sensor, findings):
    findings[:] = [Finding("spool", "firms_test", "ok", NOT_RUN)]
    cursor = tick(sensor).cursor
    findings[:] = [Finding("spool", "firms_test", "ok", "0 records wait")]

    assert len(tick(sensor, cursor).asset_events) == 4


def test_after_a_quarter_of_an_hour_it_is_told_again(sensor, findings):
    memory = json.loads(tick(sensor).cursor)
    memory["told_at_s"] -= 901

    assert len(tick(sensor, json.dumps(memory)).asset_events) == 4


def test_a_cursor_of_another_version_does_not_end_the_watch(sensor, findings):
    assert len(tick(sensor, '["?"').asset_events) == 4


@pytest.mark.parametrize(
    ("enabled", "status"),
    [(True, dg.DefaultSensorStatus.RUNNING), (False, dg.DefaultSensorStatus.STOPPED)],
)
def test_the_configuration_turns_the_watch_on_and_sets_its_pace(configured, enabled, status):
    config = configured(document(health_check={"enabled": enabled, "interval_seconds": 45}))

    (sensor,) = health_objects(config).sensors

    assert (sensor.default_status, sensor.minimum_interval_seconds) == (status, 45)


def test_it_looks_no_more_often_than_every_thirty_seconds(configured):
    config = configured(document(health_check={"interval_seconds": 1}))

    assert health_objects(config).sensors[0].minimum_interval_seconds == 30


def test_the_job_tells_at_once(config, findings):
    findings[:] = [AWAY]
    (job,) = health_objects(config).jobs

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        key = dg.AssetCheckKey(health_key(config), "broker")
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])

    assert result.success
    assert key in found
    assert any(event.is_step_materialization for event in result.all_events)


def test_the_checks_can_be_started_by_hand(config, findings):
    findings[:] = [WAITS]
    objects = health_objects(config)

    result = dg.materialize(
        [*objects.assets, *objects.checks],
        selection=dg.AssetSelection.checks_for_assets(health_key(config)),
    )

    assert {x.check_name: x.passed for x in result.get_asset_check_evaluations()} == {
        "broker": True,
        "spool": False,
        "api": True,
    }


def test_a_look_sees_what_this_process_owns(configured):
    data = document(kafka={"bootstrap_servers": "127.0.0.1:1"}, health_check={"timeout_seconds": 1})

    found = room.look(configured(data))

    assert [(x.part, x.name) for x in found.findings] == [
        ("broker", "127.0.0.1:1"),
        ("spool", "firms_test"),
        ("api", "firms_test"),
    ]
    assert found.verdict == "down"
