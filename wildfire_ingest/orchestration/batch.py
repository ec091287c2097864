"""A batch source in Dagster: its asset, its job and the schedule that starts it.

No RetryPolicy: the next tick tries again, what was fetched waits in the spool, and a retried step
would answer Terminate by starting anew.  Times in seconds, cron lines in UTC.  Annotations are not
postponed here: Dagster reads the types of an asset's parameters.
"""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.orchestration import processes, translator
from wildfire_ingest.orchestration.ingestion import ingest
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.orchestration.supervision import pause_s

MAX_RUN_S = 3600
"""Backstop against a run whose process is gone: run monitoring ends it, its slots are free."""
LOST_AFTER_S = 900
"""A run older than this no longer keeps a tick from starting; the spool's lock still guards."""
LOOKED_BACK = 10
"""Runs that are counted when several in a row failed."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""Dagster writes a line to the compute log for each of its events otherwise."""


def source_asset(config: StreamConfig, source: SourceModel) -> dg.AssetsDefinition:
    """The source as an asset that one run fills by one poll."""

    @dg.multi_asset(
        name=f"run_{source.source_id}",
        specs=[translator.source_spec(config, source)],
        pool=translator.pool_of(source),
    )
    def one_run(
        context: dg.AssetExecutionContext,
        api: ApiClientResource,
        kafka: KafkaProducerResource,
        throttler: ThrottlerResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        yield from ingest(context, config, source.source_id, api, kafka, throttler)

    return one_run


def source_job(config: StreamConfig, source: SourceModel) -> Any:  # Dagster's class is private
    """`ingest_<id>`."""
    return dg.define_asset_job(
        f"ingest_{source.source_id}",
        # Without the checks' own step: the run tells what they would find.
        selection=dg.AssetSelection.assets(translator.source_key(source)).without_checks(),
        description=f"One poll of {source.source_id}, and whatever waits from before.",
        tags={
            **translator.run_tags(config, source),
            "dagster/priority": "-1",
            "dagster/max_runtime": str(MAX_RUN_S),
        },
        config=QUIET,
        executor_def=dg.in_process_executor,
    )


def source_schedule(source: SourceModel, cron: str, job: Any) -> dg.ScheduleDefinition:
    """`schedule_<id>`; on from the start, a person's toggle in the UI wins."""
    name = f"ingest_{source.source_id}"

    @dg.schedule(
        name=f"schedule_{source.source_id}",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Polls {source.source_id}; a tick is skipped while its last run goes on.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        unfinished = unfinished_run(context.instance, name, SystemClock().now_us())
        if unfinished is not None:
            return dg.SkipReason(f"run {unfinished} of this source has not ended yet")
        return dg.RunRequest()

    return tick


def unfinished_run(instance: dg.DagsterInstance, job_name: str, now_us: int) -> str | None:
    """A run of the job that is under way.

    One whose process is gone is declared failed; one that is too old to be true does not count.
    """
    found = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=5)
    for record in found:
        if processes.bury_if_lost(instance, record, now_us / SECOND_US):
            continue
        age = timedelta(microseconds=now_us - int(record.create_timestamp.timestamp() * SECOND_US))
        if age < timedelta(seconds=LOST_AFTER_S):
            return record.dagster_run.run_id
    return None


def wait_after_failures_s(instance: dg.DagsterInstance, job_name: str, now_us: int) -> float:
    """How long a sensor should wait for runs of the job that fail again and again."""
    found = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=LOOKED_BACK)
    statuses = [record.dagster_run.status for record in found]
    failed = list(itertools.takewhile(lambda one: one is dg.DagsterRunStatus.FAILURE, statuses))
    wait_s = pause_s(len(failed))
    ended_s = found[0].end_time if wait_s else None
    return 0.0 if ended_s is None else max(0.0, wait_s - (now_us / SECOND_US - ended_s))
