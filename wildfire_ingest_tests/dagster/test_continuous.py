"""The long-lived op over Dagster's own storage: what it sends, tells, and how its run ends."""

import threading

import dagster as dg
import pytest

from wildfire_ingest.intake.pause import pause
from wildfire_ingest.intake.spool_file import SpoolFile
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest.orchestration.continuous import RUN_LASTS_S, SPREAD, run_lasts_s
from wildfire_ingest.testing import FakeApi
from wildfire_ingest_tests.dagster.conftest import MAP_KEY, document
from wildfire_ingest_tests.dagster.test_ingestion import World, answer, count, observations

JOB = "continuous_firms_test"
STREAM = {
    "source_type": "nasa_firms",
    "ingestion": {"mode": "continuous_streaming", "polling_interval_seconds": 1},
    "cache_ttl_seconds": 0,
    "custom_params": {"map_key": "${ENV:FIRMS_MAP_KEY}"},
}


class Stand(World):
    """A continuous source over fakes; `on_poll` is called at each poll."""

    def __init__(self, config, instance):
        super().__init__(config)
        self.instance = instance
        self.on_poll = lambda: None

    def api(self):
        stand = self

        class Api(FakeApi):
            def fetch(self, request, *, stop=None, take_look=False):
                stand.on_poll()
                return super().fetch(request, stop=stop, take_look=take_look)

        return Api(self.replies)

    def stream(self, *replies, seconds=1.0):
        self.replies = [*replies, *[replies[-1]] * 20]
        job = build_definitions(self.config, self.resources()).resolve_job_def(JOB)
        options = {"ops": {"stream_firms_test": {"config": {"max_run_seconds": seconds}}}}
        return job.execute_in_process(
            instance=self.instance, run_config=options, raise_on_error=False
        )

    def own_run(self):
        (record,) = self.instance.get_run_records()
        return record.dagster_run


@pytest.fixture
def stand(configured):
    config = configured(document(sources={"firms_test": STREAM}))
    with dg.instance_for_test() as instance:
        yield Stand(config, instance)


def materialized(result):
    """Of the source, not of its topic."""
    return [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization and event.asset_key.path[0] == "wildfire"
    ]


def test_what_is_polled_is_sent_and_told_at_the_end_of_its_time(stand):
    result = stand.stream(answer(39.1, 39.2), answer(39.1, 39.2, 39.3), seconds=2.5)

    assert result.success
    assert len(stand.kafka.visible("wildfire-nasa-firms")) == 3
    assert sum(count(one, "dagster/row_count") for one in materialized(result)) == 3
    assert "its time is up" in stand.own_run().tags["wildfire/drain"]
    assert "wildfire/heartbeat" in stand.own_run().tags


def test_a_second_owner_of_the_same_source_ends_cleanly(stand):
    held = SpoolFile(stand.config.state_dir, "firms_test")
    try:
        result = stand.stream(answer(39.1))
    finally:
        held.close()

    assert result.success
    (observation,) = observations(result)
    assert count(observation, "stop_reason") == "already running"
    assert not stand.kafka.visible("wildfire-nasa-firms")


def test_a_paused_source_sends_nothing_and_says_why(stand):
    pause(stand.config.state_dir, "firms_test", "maintenance", 1)

    result = stand.stream(answer(39.1))

    assert result.success
    (observation,) = observations(result)
    assert count(observation, "stop_reason") == "paused maintenance"


def test_dagsters_wish_to_drain_ends_the_run_well_with_everything_sent(stand):
    stand.on_poll = lambda: stand.instance.add_run_tags(
        stand.own_run().run_id, {"wildfire/drain": "changed"}
    )

    result = stand.stream(answer(39.1, 39.2), seconds=60.0)

    assert result.success
    assert len(stand.kafka.visible("wildfire-nasa-firms")) == 2
    assert stand.own_run().status is dg.DagsterRunStatus.SUCCESS


def test_a_run_that_dagster_gave_up_ends_and_stays_a_failure(stand):
    given_up = threading.Event()

    def give_up():
        if not given_up.is_set():
            given_up.set()
            stand.instance.report_run_failed(stand.own_run())

    stand.on_poll = give_up

    result = stand.stream(answer(39.1), seconds=60.0)

    assert not result.success
    assert stand.own_run().status is dg.DagsterRunStatus.FAILURE


def test_a_terminated_run_is_canceled_and_what_was_spooled_is_sent(stand):
    stand.on_poll = lambda: stand.instance.report_run_canceling(stand.own_run())

    stand.stream(answer(39.1, 39.2), seconds=60.0)

    assert stand.own_run().status is dg.DagsterRunStatus.CANCELED
    assert len(stand.kafka.visible("wildfire-nasa-firms")) == 2


def test_no_event_of_a_run_shows_a_secret(stand):
    result = stand.stream(answer(39.1))

    shown = "".join(map(repr, result.all_events)) + repr(stand.own_run())
    assert MAP_KEY not in shown


def test_runs_of_different_sources_do_not_all_end_at_once():
    lasting = [run_lasts_s(f"source_{number}") for number in range(50)]

    assert len(set(lasting)) == 50
    assert all(abs(one - RUN_LASTS_S) <= SPREAD * RUN_LASTS_S for one in lasting)
