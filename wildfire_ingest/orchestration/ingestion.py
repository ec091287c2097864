"""One run of one source inside Dagster: the engine, the resources' parts, the outcome.

What the run did becomes a materialization when records were sent, else an observation, so that an
asset's freshness follows data and not liveness.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import dagster as dg

from wildfire_ingest.assembly import running_source
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.errors import IngestError, SpoolBusy
from wildfire_ingest.orchestration.reporter import TroubleLog, metadata_of, records_sent
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
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
    tuned = throttler.applied(kafka.applied(api.applied(config)))
    with graceful() as stop, ExitStack() as stack:

        def with_resources(parts: Parts) -> Parts:
            fetcher, sink = api.client(source_id, tuned), kafka.sink(source_id, tuned)
            for part in (fetcher, sink):
                stack.callback(getattr(part, "close", lambda: None))
            return replace(parts, fetcher=fetcher, sink=sink, lag=throttler.lag(tuned))

        summary = _run_once(context, tuned, source_id, stop, with_resources)
        if summary is None:
            return
        wrote = records_sent(summary) > 0
        if not wrote:
            context.log_event(dg.AssetObservation(context.asset_key, metadata=metadata_of(summary)))
        elif stop.is_set() or not summary.succeeded:
            # The run will not end well, yet data was written.
            context.log_event(
                dg.AssetMaterialization(context.asset_key, metadata=metadata_of(summary))
            )
    _raise_unless_good(summary)
    if wrote:
        yield dg.MaterializeResult(metadata=metadata_of(summary))


def _run_once(
    context: dg.AssetExecutionContext,
    config: StreamConfig,
    source_id: str,
    stop: threading.Event,
    with_resources: Any,
) -> RunSummary | None:
    """The run's numbers; None when another process runs the source already."""
    try:
        with running_source(
            config, source_id, observer=TroubleLog(), replace=with_resources
        ) as engine:
            return engine.run_once(stop)
    except SpoolBusy as error:
        context.log.info("already running: %s", error)
        context.log_event(
            dg.AssetObservation(
                context.asset_key,
                metadata={"records_sent": 0, "stop_reason": "already running"},
            )
        )
        return None
    except IngestError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


def _raise_unless_good(summary: RunSummary) -> None:
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
