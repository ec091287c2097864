"""Old runs are deleted, and no others."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from wildfire_ingest.orchestration import maintenance
from wildfire_ingest.orchestration.build import build_definitions
from wildfire_ingest_tests.dagster.conftest import document

STATUS = dg.DagsterRunStatus
SOON = datetime.now(UTC) + timedelta(days=1)


@dg.op
def nothing():
    """An op."""


@dg.job
def ingest_ours():
    """A job of ours."""
    nothing()


@dg.job
def somebody_elses():
    """Another job."""
    nothing()


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def run(instance, job=ingest_ours, status=STATUS.SUCCESS):
    made = instance.create_run_for_job(job, run_id=make_new_run_id(), status=status)
    return made.run_id


def remaining(instance):
    return {record.dagster_run.run_id for record in instance.get_run_records()}


def test_what_ended_before_the_day_is_deleted(instance):
    for status in (STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED):
        run(instance, status=status)

    assert maintenance.delete_runs(instance, ["ingest_ours"], SOON) == 3
    assert remaining(instance) == set()


def test_what_is_younger_stays(instance):
    kept = run(instance)
    yesterday = datetime.now(UTC) - timedelta(days=1)

    assert maintenance.delete_runs(instance, ["ingest_ours"], yesterday) == 0
    assert remaining(instance) == {kept}


def test_what_goes_on_or_is_somebody_elses_stays(instance):
    kept = {run(instance, status=STATUS.STARTED), run(instance, somebody_elses)}

    maintenance.delete_runs(instance, ["ingest_ours"], SOON)

    assert remaining(instance) == kept


@pytest.mark.parametrize(
    ("days", "status"),
    [(30, dg.DefaultScheduleStatus.RUNNING), (0, dg.DefaultScheduleStatus.STOPPED)],
)
def test_a_configuration_that_keeps_all_runs_starts_no_maintenance(configured, days, status):
    definitions = build_definitions(configured(document(keep_runs_days=days)))

    (schedule,) = [one for one in definitions.schedules or () if "maintenance" in one.name]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.default_status is status
