"""A continuous source in Dagster: its asset, the long-lived op that fills it, and that op's job.

No RetryPolicy: it would answer Terminate by starting the op anew; the supervising sensor launches
the next run.  One process, no step workers.  The asset is external to the job on purpose: the
asset graph's own "Materialize" would start a second, unsupervised stream.  Annotations are not
postponed here: Dagster reads the types of an op's parameters.
"""

import hashlib
from typing import Any

import dagster as dg
from dagster import DagsterExecutionInterruptedError
from pydantic import Field

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.errors import IngestError, SpoolBusy
from wildfire_ingest.intake.pause import paused
from wildfire_ingest.orchestration import translator
from wildfire_ingest.orchestration.batch import QUIET
from wildfire_ingest.orchestration.ingestion import raise_unless_good
from wildfire_ingest.orchestration.own_run import OwnRun
from wildfire_ingest.orchestration.processes import name_process
from wildfire_ingest.orchestration.reporter import WindowReporter, not_run
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    Resources,
    ThrottlerResource,
)
from wildfire_ingest.orchestration.source_engine import source_engine
from wildfire_ingest.orchestration.stream import Outcome, Rhythm, Stream
from wildfire_ingest.orchestration.termination import graceful

RUN_LASTS_S = 6 * 3600
"""Dagster prunes only ended runs, and a run's events stay in its process's memory."""
SPREAD = 0.1
"""Runs of different sources end so much apart, as a part of that time."""
BACKSTOP = 1.1
"""Run monitoring ends a run that outlives its time by so much."""


class StreamOptions(dg.Config):
    """What a person may set in the Launchpad."""

    max_run_seconds: float = Field(
        default=0.0, ge=0, description="Then the run ends and the next begins; 0 = some 6 hours."
    )
    heartbeat_seconds: float = Field(
        default=30.0, ge=1, le=60, description="Time between signs of life."
    )


def job_name(source_id: str) -> str:
    """`continuous_<id>`."""
    return f"continuous_{source_id}"


def sensor_name(source_id: str) -> str:
    """`supervise_<id>`: its toggle starts and stops the source."""
    return f"supervise_{source_id}"


def run_lasts_s(source_id: str) -> float:
    """About six hours, not the same for all."""
    digest = hashlib.blake2b(source_id.encode(), digest_size=4).digest()
    return RUN_LASTS_S * (1 + SPREAD * (int.from_bytes(digest, "big") / 2**31 - 1))


def stream_asset(config: StreamConfig, source: SourceModel) -> dg.AssetSpec:
    """The source as an asset; it says what fills it, for Dagster shows no automation there."""
    spec = translator.source_spec(config, source)
    source_id = source.source_id
    how = (
        f"A run of the job {job_name(source_id)} streams it; the sensor {sensor_name(source_id)}"
        " keeps that run alive, and its toggle stops and starts the source."
    )
    return spec.replace_attributes(description=f"{spec.description}\n\n{how}")


def stream_job(config: StreamConfig, source: SourceModel) -> dg.JobDefinition:
    """`continuous_<id>` with its one op `stream_<id>`."""
    source_id, whole_config = source.source_id, config

    @dg.op(
        name=f"stream_{source_id}",
        out=dg.Out(dg.Nothing),
        tags={"dagster/kind": "kafka"},
        description=f"Polls {source_id} and delivers to Kafka until it is told to end.",
    )
    def stream(
        context: dg.OpExecutionContext,
        config: StreamOptions,
        api: ApiClientResource,
        kafka: KafkaProducerResource,
        throttler: ThrottlerResource,
    ) -> None:
        stream_source(context, whole_config, source, config, (api, kafka, throttler))

    @dg.job(
        name=job_name(source_id),
        description=f"The stream of {source_id}; {sensor_name(source_id)} keeps one alive.",
        tags={
            **translator.run_tags(config, source),
            translator.STREAM_TAG: source_id,
            "dagster/priority": "10",
            "dagster/max_retries": "0",  # the supervisor launches the next
            "dagster/max_runtime": f"{run_lasts_s(source_id) * BACKSTOP:.0f}",
        },
        config=QUIET,
        executor_def=dg.in_process_executor,
    )
    def continuous() -> None:
        stream()

    return continuous


def stream_source(
    context: dg.OpExecutionContext,
    config: StreamConfig,
    source: SourceModel,
    options: StreamOptions,
    resources: Resources,
) -> None:
    """Stream until the run is to end.  Raises Failure where it did not end well."""
    source_id = source.source_id
    name_process(context.instance, context.run.run_id)
    own_run = OwnRun(context.instance, context.run.run_id, sensor_name(source_id))
    tell = _Teller(context, own_run, config, source)
    if (pause := paused(config.state_dir, source_id)) is not None:
        tell.not_run(f"paused {pause.reason}".strip())
        return
    with graceful() as stop:
        try:
            with source_engine(config, source_id, *resources, continuous=True) as engine:
                outcome = _stream(config, source_id, options, engine, own_run, tell).run(stop)
                tell.end(outcome)
        except SpoolBusy as error:
            context.log.info("already running: %s", error)
            tell.not_run("already running")
            return
        except IngestError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
    _conclude(outcome)


def _stream(
    config: StreamConfig,
    source_id: str,
    options: StreamOptions,
    engine: Engine,
    own_run: OwnRun,
    tell: "_Teller",
) -> Stream:
    def pause_reason() -> str | None:
        pause = paused(config.state_dir, source_id)
        return None if pause is None else pause.reason

    return Stream(
        engine,
        own_run,
        SystemClock(),
        Rhythm(
            max_run_s=options.max_run_seconds or run_lasts_s(source_id),
            window_s=config.metrics_interval_seconds,
            heartbeat_s=options.heartbeat_seconds,
        ),
        is_paused=pause_reason,
        tell=tell.window if config.enable_metrics else lambda _window: None,
    )


def _conclude(outcome: Outcome) -> None:
    """Turn the outcome into the run's status."""
    end = outcome.end
    if end is not None and end.wish == "terminated":
        raise DagsterExecutionInterruptedError
    if end is not None and end.wish == "fenced":
        # Returning would make a success of a run that Dagster holds for failed.
        raise dg.Failure(description=end.reason, allow_retries=False)
    raise_unless_good(outcome.summary)


class _Teller:
    """Tells Dagster what a window held; a database that does not answer stops no stream."""

    def __init__(
        self,
        context: dg.OpExecutionContext,
        own_run: OwnRun,
        config: StreamConfig,
        source: SourceModel,
    ) -> None:
        self._context = context
        self._own_run = own_run
        self._key = translator.source_key(source)
        self._reporter = WindowReporter(config, source)

    def window(self, window: RunSummary) -> None:
        self._log(self._reporter.events(window))

    def end(self, outcome: Outcome) -> None:
        if outcome.end is not None and outcome.end.wish == "drain":
            try:
                self._own_run.ends_well(outcome.end.reason)
            except Exception as error:  # noqa: BLE001 - Dagster's database may be away
                self._context.log.warning("the run's end could not be tagged: %s", error)
        self._log(self._reporter.events(outcome.window, final=True))

    def not_run(self, why: str) -> None:
        self._log([not_run(self._key, why)])

    def _log(self, events: list[Any]) -> None:
        for event in events:
            self._context.log_event(event)
