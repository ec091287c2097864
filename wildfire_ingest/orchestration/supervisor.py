"""The sensor that keeps exactly one run of a continuous source alive; its toggle is the source's.

It reads the source's runs from Dagster, lets `supervision` decide, and does that one thing.
Another sensor ends the runs of sources that are there no more, and so have no sensor.
"""

from collections.abc import Collection
from typing import Any

import dagster as dg

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.intake.pause import paused
from wildfire_ingest.orchestration import processes, translator
from wildfire_ingest.orchestration.batch import UNFINISHED
from wildfire_ingest.orchestration.continuous import job_name, sensor_name
from wildfire_ingest.orchestration.maintenance import ENDED
from wildfire_ingest.orchestration.supervision import (
    LIVE,
    STALE_AFTER_S,
    Decision,
    RunView,
    decide,
)

EVERY_S = 15
RUNS_LOOKED_AT = 12
REMOVED_EVERY_S = 60
MOST_STREAMS = 1_000
REMOVED = "its source is no longer a stream of this code location"
DUPLICATE_TAG = "wildfire/duplicate"
OVERTAKEN = "its process gave no sign of life"


def supervising_sensor(
    config: StreamConfig, source: SourceModel, job: dg.JobDefinition
) -> dg.SensorDefinition:
    """`supervise_<id>`; on from the start, a person's toggle in the UI wins."""
    source_id = source.source_id
    fingerprint = translator.fingerprint(config, source)

    @dg.sensor(
        name=sensor_name(source_id),
        job=job,
        minimum_interval_seconds=EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Keeps one run of {source_id} alive; switched off, the run drains and ends.",
    )
    def supervise(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        runs = views(context.instance, source_id)
        pause = paused(config.state_dir, source_id)
        if pause is not None and not any(run.status in LIVE for run in runs):
            return dg.SkipReason(f"paused {pause.reason}: wildfire-ingest resume {source_id}")
        decision = decide(
            runs,
            fingerprint=fingerprint,
            now_s=SystemClock().now_us() / SECOND_US,
            switched_on_s=context.last_sensor_start_time or 0.0,
        )
        if decision.action == "launch":
            # One run an ended run, whoever asks twice.
            before = runs[0].run_id if runs else "first"
            return dg.RunRequest(run_key=f"{source_id}:{before}:{fingerprint}")
        act(context.instance, decision)
        return dg.SkipReason(decision.reason)

    return supervise


def removal_sensor(config: StreamConfig) -> dg.SensorDefinition:
    """`supervise_removed`: ends the streams of sources that this code location has no more."""
    streaming = {
        source.source_id
        for source in config.owned_sources
        if source.ingestion.mode == "continuous_streaming"
    }

    @dg.sensor(
        name="supervise_removed",
        minimum_interval_seconds=REMOVED_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends the stream of a source that was removed, disabled or given another mode.",
    )
    def supervise(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        origin = context.code_location_origin
        location = origin.location_name if origin is not None else None
        drained = drain_removed(context.instance, location, streaming)
        return dg.SkipReason(f"asked to drain: {', '.join(drained)}" if drained else "none")

    return supervise


def drain_removed(
    instance: dg.DagsterInstance, location: str | None, streaming: Collection[str]
) -> list[str]:
    """Ask this location's streams of other sources to end; their source ids."""
    found = instance.get_run_records(
        dg.RunsFilter(
            tags={translator.MODE_TAG: "continuous_streaming"},
            statuses=[dg.DagsterRunStatus.STARTED],
        ),
        limit=MOST_STREAMS,
    )
    drained = []
    for run in (record.dagster_run for record in found):
        source_id = run.tags.get(translator.SOURCE_TAG, "")
        origin = run.remote_job_origin
        is_ours = (origin.location_name if origin is not None else None) == location
        if is_ours and source_id not in streaming and translator.DRAIN_TAG not in run.tags:
            instance.add_run_tags(run.run_id, {translator.DRAIN_TAG: REMOVED})
            drained.append(source_id)
    return drained


def views(instance: dg.DagsterInstance, source_id: str) -> list[RunView]:
    """The source's continuous runs that live, then the latest that ended; each newest first.

    Asked for apart: launches by hand that were taken from the queue would hide the one that lives.
    """
    name, now_s = job_name(source_id), SystemClock().now_us() / SECOND_US
    found = [
        *instance.get_run_records(dg.RunsFilter(job_name=name, statuses=UNFINISHED)),
        *instance.get_run_records(
            dg.RunsFilter(job_name=name, statuses=ENDED), limit=RUNS_LOOKED_AT
        ),
    ]
    return [view(record, now_s) for record in found]


def view(record: Any, now_s: float) -> RunView:  # Dagster's class is private
    """What counts of one of Dagster's records."""
    run, tags = record.dagster_run, record.dagster_run.tags
    return RunView(
        run_id=run.run_id,
        status=run.status.value,
        fingerprint=tags.get(translator.FINGERPRINT_TAG, ""),
        created_s=record.create_timestamp.timestamp(),
        started_s=record.start_time,
        ended_s=record.end_time,
        heartbeat_s=_past(tags.get(translator.HEARTBEAT_TAG), now_s),
        is_gone=processes.is_lost(run.run_id, tags, record.start_time, now_s),
        is_draining=translator.DRAIN_TAG in tags,
        is_duplicate=DUPLICATE_TAG in tags,
    )


def act(instance: dg.DagsterInstance, decision: Decision) -> None:
    """Do what was decided to a run that exists."""
    if decision.action in {"leave", "launch"}:
        return
    run = instance.get_run_by_id(decision.run_id)
    if run is None or run.is_finished:
        return
    match decision.action:
        case "drain":
            instance.add_run_tags(run.run_id, {translator.DRAIN_TAG: decision.reason})
        case "bury":
            processes.bury(instance, run, OVERTAKEN)
        case "cancel_duplicate":
            instance.add_run_tags(run.run_id, {DUPLICATE_TAG: decision.reason})
            instance.report_run_canceled(run, message=decision.reason)


def _past(text: str | None, now_s: float) -> float | None:
    """A tag is anybody's to write: no time, or one to come, would keep a dead run for alive."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found <= now_s + STALE_AFTER_S else None
