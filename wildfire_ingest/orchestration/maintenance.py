"""Old runs leave Dagster's database: a stream writes it 13 MB a day, and nothing else prunes it.

Deletes ended runs of this process's own jobs, their events and so their points in the plots;
an asset's latest materialization stays.  Days.  Annotations are not postponed here: Dagster reads
the types of an op's parameters.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.orchestration.batch import QUIET

MOST_AT_ONCE = 2_000
"""Deleting one takes 30-90 ms; the rest goes tomorrow."""
ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


def maintenance(
    config: StreamConfig, job_names: Iterable[str]
) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """The job `maintenance` and the schedule that starts it every night."""
    names = sorted({*job_names, "maintenance"})

    @dg.op(
        name="delete_old_runs",
        out=dg.Out(dg.Nothing),
        description=f"Deletes runs that ended more than {config.keep_runs_days} days ago.",
    )
    def delete_old_runs(context: dg.OpExecutionContext) -> None:
        now = datetime.fromtimestamp(SystemClock().now_us() / SECOND_US, UTC)
        before = now - timedelta(days=config.keep_runs_days)
        deleted = delete_runs(context.instance, names, before)
        context.log.info("%d runs from before %s deleted", deleted, before.date())

    @dg.job(
        name="maintenance",
        description="Deletes old runs of this project's jobs from Dagster's database.",
        tags={"dagster/priority": "-10"},
        config=QUIET,
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        delete_old_runs()

    is_on = config.keep_runs_days > 0
    schedule = dg.ScheduleDefinition(
        name="schedule_maintenance",
        job=job,
        cron_schedule="23 3 * * *",
        execution_timezone="UTC",
        description=f"Deletes runs that ended {config.keep_runs_days} days ago.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    return job, schedule


def delete_runs(instance: dg.DagsterInstance, job_names: Iterable[str], before: datetime) -> int:
    """Delete ended runs of these jobs that were created before then; how many."""
    deleted = 0
    for name in job_names:
        old = dg.RunsFilter(job_name=name, statuses=ENDED, created_before=before)
        for record in instance.get_run_records(old, limit=MOST_AT_ONCE - deleted):
            instance.delete_run(record.dagster_run.run_id)
            deleted += 1
        if deleted >= MOST_AT_ONCE:
            break
    return deleted
