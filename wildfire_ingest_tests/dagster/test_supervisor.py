"""The supervising sensor over Dagster's own storage: launch, drain, bury, take from the queue."""

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from wildfire_ingest.intake.pause import pause
from wildfire_ingest.orchestration import processes, supervisor
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest.orchestration.supervision import Decision
from wildfire_ingest_tests.dagster.conftest import document

JOB = "continuous_firms_test"
STREAM = {
    "source_type": "nasa_firms",
    "ingestion": {"mode": "continuous_streaming", "polling_interval_seconds": 60},
    "custom_params": {"map_key": "${ENV:FIRMS_MAP_KEY}"},
}
STARTED = dg.DagsterRunStatus.STARTED


class Stand:
    """The sensor, and the runs that a test makes."""

    def __init__(self, config, instance):
        self.config, self.instance = config, instance
        self.definitions = build_definitions(config)
        self.job = self.definitions.resolve_job_def(JOB)
        self.sensor = self.definitions.get_repository_def().get_sensor_def("supervise_firms_test")

    def run(self, status=STARTED, **tags):
        return self.instance.create_run_for_job(
            self.job,
            run_id=make_new_run_id(),
            status=status,
            tags={**self.job.run_tags, **{f"wildfire/{name}": text for name, text in tags.items()}},
        )

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.instance, repository_def=self.definitions.get_repository_def()
        )
        return self.sensor.evaluate_tick(context)

    def now(self, run):
        return self.instance.get_run_by_id(run.run_id)


@pytest.fixture
def stand(configured):
    with dg.instance_for_test() as instance:
        yield Stand(configured(document(sources={"firms_test": STREAM})), instance)


def test_a_source_without_a_run_gets_one(stand):
    (request,) = stand.tick().run_requests

    assert request.run_key.startswith("firms_test:first:")


def test_a_tick_that_is_evaluated_again_asks_for_the_same_run(stand):
    ended = stand.run(dg.DagsterRunStatus.SUCCESS, drain="changed")

    (first,), (second,) = stand.tick().run_requests, stand.tick().run_requests

    assert first.run_key == second.run_key
    assert ended.run_id in first.run_key


def test_a_run_that_lives_is_left_alone(stand):
    run = stand.run()

    tick = stand.tick()

    assert not tick.run_requests
    assert run.run_id in tick.skip_message
    assert stand.now(run).tags == run.tags


def test_a_run_of_an_older_configuration_is_asked_to_drain(stand):
    run = stand.run(fingerprint="older")

    assert "changed" in stand.tick().skip_message

    assert "changed" in stand.now(run).tags["wildfire/drain"]
    assert stand.now(run).status is STARTED


def test_a_paused_source_is_not_launched(stand):
    pause(stand.config.state_dir, "firms_test", "maintenance", 1)

    tick = stand.tick()

    assert not tick.run_requests
    assert "maintenance" in tick.skip_message
    assert "wildfire-ingest resume firms_test" in tick.skip_message


def test_a_run_that_is_declared_dead_has_failed(stand):
    run = stand.run()

    supervisor.act(stand.instance, Decision("bury", "silent", run.run_id))

    assert stand.now(run).status is dg.DagsterRunStatus.FAILURE


def test_a_run_that_dies_while_a_person_ends_it_is_canceled_and_stays_ended(stand):
    run = stand.run(dg.DagsterRunStatus.CANCELING)

    supervisor.act(stand.instance, Decision("bury", "silent", run.run_id))

    assert stand.now(run).status is dg.DagsterRunStatus.CANCELED
    assert "ended by hand" in stand.tick().skip_message


def test_many_launches_by_hand_do_not_hide_the_run_that_lives(stand):
    run = stand.run(fingerprint="older")
    for _ in range(supervisor.RUNS_LOOKED_AT + 1):
        stand.run(dg.DagsterRunStatus.CANCELED, duplicate="streams already")

    tick = stand.tick()

    assert not tick.run_requests
    assert "changed" in stand.now(run).tags["wildfire/drain"]


def test_a_reexecuted_run_is_not_buried_for_the_process_of_its_parent(stand):
    boot = str(processes.own_process()).rpartition(":")[0]
    run = stand.run(dg.DagsterRunStatus.NOT_STARTED, process=f"parent {boot}:1")

    assert run.run_id in stand.tick().skip_message

    assert stand.now(run).status is dg.DagsterRunStatus.NOT_STARTED


def test_a_duplicate_leaves_the_queue_marked_as_one(stand):
    run = stand.run(dg.DagsterRunStatus.NOT_STARTED)

    supervisor.act(stand.instance, Decision("cancel_duplicate", "streams already", run.run_id))

    assert stand.now(run).status is dg.DagsterRunStatus.CANCELED
    assert supervisor.views(stand.instance, "firms_test")[0].is_duplicate


def test_a_run_that_ended_meanwhile_is_not_touched(stand):
    run = stand.run(dg.DagsterRunStatus.SUCCESS)

    supervisor.act(stand.instance, Decision("bury", "silent", run.run_id))

    assert stand.now(run).status is dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("heartbeat", ["", "yesterday", "nan", "1e999", "-1", "99999999999"])
def test_a_heartbeat_that_is_no_time_of_the_past_counts_for_nothing(stand, heartbeat):
    stand.run(heartbeat=heartbeat)

    assert not stand.tick().run_requests
    assert supervisor.views(stand.instance, "firms_test")[0].heartbeat_s is None


def test_the_stream_of_a_source_that_was_removed_is_asked_to_end_once(stand):
    run = stand.run()

    assert supervisor.drain_removed(stand.instance, None, {"another"}) == ["firms_test"]
    assert supervisor.drain_removed(stand.instance, None, {"another"}) == []

    assert stand.now(run).tags["wildfire/drain"] == supervisor.REMOVED


def test_the_streams_that_are_configured_go_on(stand):
    run = stand.run()

    assert supervisor.drain_removed(stand.instance, None, {"firms_test"}) == []
    assert "wildfire/drain" not in stand.now(run).tags
