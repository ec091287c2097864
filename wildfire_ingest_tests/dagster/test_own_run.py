"""What a long run learns of itself from Dagster's records."""

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._core.utils import make_new_run_id

from wildfire_ingest.orchestration.own_run import End, OwnRun

SENSOR = "supervise_firms"


@dg.op
def nothing():
    """An op."""


@dg.job
def stream():
    """A job."""
    nothing()


class Stand:
    """One run in Dagster's own storage."""

    def __init__(self, instance):
        self.instance = instance
        self.run_id = self.new_run()
        self.own_run = OwnRun(instance, self.run_id, SENSOR)
        self.states = {}

    def new_run(self):
        run = self.instance.create_run_for_job(
            stream, run_id=make_new_run_id(), status=dg.DagsterRunStatus.STARTED
        )
        return run.run_id

    @property
    def run(self):
        return self.instance.get_run_by_id(self.run_id)

    def switch(self, status, name=SENSOR):
        origin = RemoteInstigatorOrigin(
            RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), name
        )
        state = InstigatorState(
            origin, InstigatorType.SENSOR, status, SensorInstigatorData(min_interval=15)
        )
        known = name in self.states
        self.states[name] = state
        storage = self.instance.schedule_storage
        (storage.update_instigator_state if known else storage.add_instigator_state)(state)


@pytest.fixture
def stand():
    with dg.instance_for_test() as instance:
        yield Stand(instance)


def test_a_run_that_is_wanted_goes_on(stand):
    assert stand.own_run.end_wanted() is None
    assert stand.own_run.end_wanted_by_switch() is None


def test_a_run_that_is_being_canceled_was_terminated(stand):
    stand.instance.report_run_canceling(stand.run)

    assert stand.own_run.end_wanted().wish == "terminated"


def test_a_run_that_dagster_holds_for_failed_is_fenced(stand):
    stand.instance.report_run_failed(stand.run)

    assert stand.own_run.end_wanted().wish == "fenced"


def test_a_run_that_was_marked_as_canceled_from_outside_does_not_make_itself_a_failure(stand):
    """Its supervisor would start again what a person has ended."""
    stand.instance.report_run_canceled(stand.run)

    assert stand.own_run.end_wanted().wish == "terminated"


def test_a_run_that_was_deleted_is_fenced(stand):
    stand.instance.delete_run(stand.run_id)

    assert stand.own_run.end_wanted() == End("fenced", "its run was deleted")


def test_a_drain_tag_ends_it_well(stand):
    stand.instance.add_run_tags(stand.run_id, {"wildfire/drain": "changed"})

    assert stand.own_run.end_wanted() == End("drain", "changed")


def test_a_heartbeat_is_one_tag_that_grows_nothing(stand):
    stand.own_run.beat(1.0)
    events = len(stand.instance.all_logs(stand.run_id))
    stand.own_run.beat(31.0)

    assert stand.run.tags["wildfire/heartbeat"] == "31"
    assert len(stand.instance.all_logs(stand.run_id)) == events


def test_its_sensor_switched_off_ends_it_well(stand):
    stand.switch(InstigatorStatus.RUNNING)
    assert stand.own_run.end_wanted_by_switch() is None

    stand.switch(InstigatorStatus.STOPPED)

    assert stand.own_run.end_wanted_by_switch().wish == "drain"


def test_another_sensors_switch_is_not_its_own(stand):
    stand.switch(InstigatorStatus.STOPPED, "supervise_other")

    assert stand.own_run.end_wanted_by_switch() is None


def test_a_run_that_a_person_starts_while_the_sensor_is_off_runs(stand):
    stand.switch(InstigatorStatus.STOPPED)
    by_hand = OwnRun(stand.instance, stand.new_run(), SENSOR)

    assert by_hand.end_wanted_by_switch() is None

    stand.switch(InstigatorStatus.RUNNING)
    assert by_hand.end_wanted_by_switch() is None
    stand.switch(InstigatorStatus.STOPPED)
    assert by_hand.end_wanted_by_switch() == End("drain", f"sensor {SENSOR} was switched off")
