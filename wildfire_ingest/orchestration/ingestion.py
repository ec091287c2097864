"""One run of one source inside Dagster: the engine, the resources' parts, the outcome.

What the run did becomes a materialization when records were sent, else an observation, so that an
asset's freshness follows data and not liveness.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg

from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.errors import IngestError, SpoolBusy
from wildfire_ingest.intake.pause import paused
from wildfire_ingest.orchestration.processes import name_process
from wildfire_ingest.orchestration.reporter import (
    WindowReporter,
    metadata_of,
    not_run,
    records_sent,
)
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    Resources,
    ThrottlerResource,
)
from wildfire_ingest.orchestration.source_engine import source_engine
from wildfire_ingest.orchestration.termination import graceful

RETRIABLE = frozenset({"failed", "undelivered"})
"""Endings after which the same run can succeed; a superseded one cannot."""


def ingest(
    context: dg.AssetExecutionContext,
    config: StreamConfig,
    source_id: str,
    api: ApiClientResource,
    kafka: KafkaProducerResource,
    throttler: ThrottlerResource,
) -> Iterator[dg.MaterializeResult[Any]]:
    """Poll once and deliver what waits.  Raises Failure where that was not possible."""
    name_process(context.instance, context.run.run_id)
    with graceful() as stop:
        summary = _run_once(context, config, source_id, stop, (api, kafka, throttler))
        if summary is None:
            return
        ends_well = summary.succeeded and not stop.is_set()
        tell(context, config, source_id, summary, ends_well=ends_well)
    raise_unless_good(summary)
    if records_sent(summary):
        yield dg.MaterializeResult(metadata=metadata_of(summary))


def tell(
    context: dg.AssetExecutionContext,
    config: StreamConfig,
    source_id: str,
    summary: RunSummary,
    *,
    ends_well: bool,
) -> None:
    """What Dagster shows of the run, but the materialization with which a good run ends itself."""
    events = WindowReporter(config, config.sources[source_id]).events(summary, final=True)
    written = [
        event
        for event in events
        if isinstance(event, dg.AssetMaterialization) and event.asset_key == context.asset_key
    ]
    for event in events:
        if event not in written or not ends_well:
            context.log_event(event)
    if not written and not any(isinstance(event, dg.AssetObservation) for event in events):
        # A run that found nothing has looked all the same.
        context.log_event(dg.AssetObservation(context.asset_key, metadata=metadata_of(summary)))


def _run_once(
    context: dg.AssetExecutionContext,
    config: StreamConfig,
    source_id: str,
    stop: threading.Event,
    resources: Resources,
) -> RunSummary | None:
    """The run's numbers; None where the source is paused or another process runs it already."""
    pause = paused(config.state_dir, source_id)
    if pause is not None:
        context.log_event(not_run(context.asset_key, f"paused {pause.reason}".strip()))
        return None
    try:
        with source_engine(config, source_id, *resources) as engine:
            return engine.run_once(stop)
    except SpoolBusy as error:
        context.log.info("already running: %s", error)
        context.log_event(not_run(context.asset_key, "already running"))
        return None
    except IngestError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


def raise_unless_good(summary: RunSummary) -> None:
    """Raises Failure, with the numbers, for a run that did not end well."""
    if summary.succeeded:
        return
    if summary.ledger_faults:
        raise dg.Failure(
            description="the books do not close: " + "; ".join(summary.ledger_faults),
            metadata=metadata_of(summary),
            allow_retries=False,
        )
    raise dg.Failure(
        description=f"{summary.ending}: {summary.message}",
        metadata=metadata_of(summary),
        allow_retries=summary.ending in RETRIABLE,
    )
