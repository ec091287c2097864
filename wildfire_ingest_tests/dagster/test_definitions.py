"""What Dagster sees of a configuration: assets, jobs, schedules, and never a secret."""

import logging
import time
import warnings

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from wildfire_ingest.definitions import defs
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.orchestration import translator
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest_tests.dagster.conftest import MAP_KEY, SASL_WORDS, document

KEY = dg.AssetKey(["wildfire", "nasa_firms", "firms_test"])


def source(**changes):
    return {**document()["sources"]["firms_test"], **changes}


def jobs_of(definitions):
    """The sources' jobs."""
    return {
        job.name: job
        for job in definitions.resolve_all_job_defs()
        if job.name.startswith(("ingest_", "continuous_"))
    }


def sources_schedules(definitions):
    return [one for one in definitions.schedules or () if one.name != "schedule_maintenance"]


def schedule_of(definitions):
    """The only schedule."""
    (schedule,) = sources_schedules(definitions)
    assert isinstance(schedule, dg.ScheduleDefinition)
    return schedule


def test_the_shipped_configuration_loads_in_dagster(monkeypatch):
    monkeypatch.delenv("WILDFIRE_CONFIG", raising=False)

    definitions = defs()
    dg.Definitions.validate_loadable(definitions)

    assert set(jobs_of(definitions)) == {
        "ingest_firms_viirs_snpp",
        "ingest_firms_modis",
        "ingest_noaa_alerts_california",
        "continuous_noaa_stations_california",
    }
    assert {sensor.name for sensor in definitions.sensors or ()} == {
        "poll_noaa_alerts_california",
        "supervise_noaa_stations_california",
        "supervise_removed",
        "health",
    }


def test_a_batch_source_has_an_asset_a_job_and_a_running_schedule_in_utc(configured):
    definitions = build_definitions(configured(document()))

    schedule = schedule_of(definitions)
    assert schedule.name == "schedule_firms_test"
    assert schedule.cron_schedule == "* * * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert list(jobs_of(definitions)) == ["ingest_firms_test"]
    assert KEY in definitions.resolve_asset_graph().get_all_asset_keys()


def test_the_topic_of_a_source_is_downstream_of_it(configured):
    config = configured(document(sources={"firms_a": source(), "firms_b": source()}))

    graph = build_definitions(config).resolve_asset_graph()

    topic = graph.get(dg.AssetKey(["kafka", "wildfire-nasa-firms"]))
    assert {key.path[-1] for key in topic.parent_keys} == {"firms_a", "firms_b"}
    assert topic.kinds == {"kafka"}


def test_an_asset_carries_group_kinds_owners_and_pool(configured):
    owned = source(owners=["team:fire", "ann@example.org"])
    config = configured(document(sources={"firms_test": owned}))

    node = build_definitions(config).resolve_asset_graph().get(KEY)

    assert node.group_name == "nasa_firms"
    assert node.kinds == {"kafka", "python"}
    assert list(node.owners) == ["team:fire", "ann@example.org"]
    assert node.pools == {"api_nasa_firms"}


def test_a_disabled_source_is_not_there_to_be_started(configured):
    off = source(enabled=False)
    config = configured(document(sources={"firms_on": source(), "firms_off": off}))

    assert list(jobs_of(build_definitions(config))) == ["ingest_firms_on"]


def test_an_instance_has_only_its_own_sources(configured):
    sources = {"firms_a": source(instance="east"), "firms_b": source(instance="west")}
    config = configured(document(sources=sources, instance="west"))

    assert list(jobs_of(build_definitions(config))) == ["ingest_firms_b"]


def test_a_real_time_source_has_the_sensor_that_looks_for_news(configured):
    watched = source(ingestion={"mode": "real_time", "polling_interval_seconds": 90})
    definitions = build_definitions(configured(document(sources={"firms_test": watched})))

    assert list(jobs_of(definitions)) == ["ingest_firms_test"]
    (sensor,) = [one for one in definitions.sensors or () if one.name == "poll_firms_test"]
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 90
    assert not sources_schedules(definitions)


def test_a_job_runs_no_step_for_the_checks(configured):
    job = jobs_of(build_definitions(configured(document())))["ingest_firms_test"]

    assert [node.name for node in job.nodes] == ["run_firms_test"]


def test_a_continuous_source_has_its_job_and_the_sensor_that_keeps_it_alive(configured):
    stream = source(ingestion={"mode": "continuous_streaming", "polling_interval_seconds": 60})
    definitions = build_definitions(configured(document(sources={"firms_test": stream})))

    assert list(jobs_of(definitions)) == ["continuous_firms_test"]
    (sensor,) = [one for one in definitions.sensors or () if one.name == "supervise_firms_test"]
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert not sources_schedules(definitions)


def test_the_asset_of_a_continuous_source_cannot_be_materialized_past_its_supervisor(configured):
    stream = source(ingestion={"mode": "continuous_streaming", "polling_interval_seconds": 60})
    definitions = build_definitions(configured(document(sources={"firms_test": stream})))

    node = definitions.resolve_asset_graph().get(KEY)
    assert node.is_external
    assert node.group_name == "nasa_firms"


def test_the_asset_of_a_continuous_source_says_what_fills_it(configured):
    stream = source(ingestion={"mode": "continuous_streaming", "polling_interval_seconds": 60})
    definitions = build_definitions(configured(document(sources={"firms_test": stream})))

    description = definitions.resolve_asset_graph().get(KEY).description or ""
    assert "continuous_firms_test" in description
    assert "supervise_firms_test" in description


def test_a_continuous_run_is_never_retried_by_dagster_itself(configured):
    stream = source(ingestion={"mode": "continuous_streaming", "polling_interval_seconds": 60})
    definitions = build_definitions(configured(document(sources={"firms_test": stream})))

    job = jobs_of(definitions)["continuous_firms_test"]
    assert job.executor_def is dg.in_process_executor
    assert job.run_tags["dagster/max_retries"] == "0"
    assert job.run_tags["wildfire/stream"] == "firms_test"
    for node in job.nodes:
        assert job.get_retry_policy_for_handle(NodeHandle(node.name, None)) is None


def test_every_job_runs_in_one_process_and_no_step_is_retried(configured):
    definitions = build_definitions(configured(document()))

    for job in definitions.resolve_all_job_defs():
        assert job.executor_def is dg.in_process_executor
        for node in job.nodes:
            assert job.get_retry_policy_for_handle(NodeHandle(node.name, None)) is None


def test_a_run_carries_source_mode_and_fingerprint(configured):
    job = jobs_of(build_definitions(configured(document())))["ingest_firms_test"]

    assert job.run_tags["wildfire/source"] == "firms_test"
    assert job.run_tags["wildfire/mode"] == "batch"
    assert len(job.run_tags["wildfire/fingerprint"]) == 12


def test_the_fingerprint_follows_the_sources_own_configuration_only(configured):
    def fingerprint(**changes):
        config = configured(document(**changes))
        return translator.fingerprint(config, config.sources["firms_test"])

    before = fingerprint()

    assert fingerprint() == before
    assert fingerprint(sources={"firms_test": source(), "other": source()}) == before
    assert fingerprint(sources={"firms_test": source(timeout_seconds=20)}) != before
    assert fingerprint(queue_max_size=20_000) != before
    assert fingerprint(instance="north") == before


def test_the_longest_id_is_a_valid_name_everywhere(configured):
    config = configured(document(sources={"fire_" * 20: source()}))

    dg.Definitions.validate_loadable(build_definitions(config))


def test_no_secret_is_in_what_dagster_stores(configured):
    kafka = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "ingest",
        "sasl_password": "${ENV:KAFKA_WORDS}",
    }
    definitions = build_definitions(configured(document(kafka=kafka)))

    stored = serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))

    assert "firms_test" in stored
    assert MAP_KEY not in stored
    assert SASL_WORDS not in stored


def test_a_wrong_configuration_is_one_error_that_says_where(tmp_path, monkeypatch):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("kafka: {bootstrap_serverz: x}\nsources: {a: {source_type: nasa_firmz}}\n")
    monkeypatch.setenv("WILDFIRE_CONFIG", str(wrong))

    with pytest.raises(ConfigError, match="cannot be used") as raised:
        defs()

    assert f"{wrong}:1: kafka.bootstrap_serverz" in str(raised.value)
    assert f"{wrong}:2: sources.a.source_type" in str(raised.value)
    assert raised.value.__suppress_context__


def test_doubtful_configuration_is_logged_when_dagster_loads_it(tmp_path, monkeypatch, caplog):
    doubtful = tmp_path / "doubtful.yaml"
    data = document(sources={"firms_test": source(cache_ttl_seconds=600)})
    doubtful.write_text(yaml.safe_dump(data))
    monkeypatch.setenv("WILDFIRE_CONFIG", str(doubtful))
    monkeypatch.setenv("FIRMS_MAP_KEY", MAP_KEY)

    with caplog.at_level(logging.WARNING):
        defs()

    assert "sources.firms_test.cache_ttl_seconds" in caplog.text


def test_a_tick_is_skipped_while_the_sources_run_goes_on(configured):
    definitions = build_definitions(configured(document()))
    schedule = schedule_of(definitions)
    job = definitions.resolve_job_def("ingest_firms_test")

    def tick(instance):
        repository = definitions.get_repository_def()
        with dg.build_schedule_context(instance=instance, repository_def=repository) as context:
            return schedule.evaluate_tick(context)

    with dg.instance_for_test() as instance:
        assert len(tick(instance).run_requests) == 1

        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert run.run_id in tick(instance).skip_message


def test_a_run_that_was_lost_long_ago_holds_no_tick_back(configured, monkeypatch):
    from wildfire_ingest.orchestration import batch

    definitions = build_definitions(configured(document()))
    job = definitions.resolve_job_def("ingest_firms_test")

    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        later_us = int((time.time() + batch.LOST_AFTER_S + 60) * 1_000_000)

        assert batch.unfinished_run(instance, "ingest_firms_test", later_us) is None


def test_a_hundred_sources_load_in_a_second(configured):
    config = configured(document(sources={f"firms_{n}": source() for n in range(100)}))

    began = time.process_time()
    with warnings.catch_warnings():
        definitions = build_definitions(config)

    assert time.process_time() - began < 1.0
    assert len(sources_schedules(definitions)) == 100
