"""A source's engine on the parts that Dagster's resources provide; every mode opens it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from wildfire_ingest.assembly import running_source
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.orchestration.reporter import TroubleLog
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)


@contextmanager
def source_engine(
    config: StreamConfig,
    source_id: str,
    api: ApiClientResource,
    kafka: KafkaProducerResource,
    throttler: ThrottlerResource,
    *,
    continuous: bool = False,
    tune: Callable[[EngineSettings], EngineSettings] | None = None,
) -> Iterator[Engine]:
    """The engine, its spool locked; what the resources gave is closed at the end.

    Raises SpoolBusy when the source is running already, IngestError where it cannot run.
    """
    tuned = throttler.applied(kafka.applied(api.applied(config)))
    with ExitStack() as stack:

        def with_resources(parts: Parts) -> Parts:
            fetcher, sink = api.client(source_id, tuned), kafka.sink(source_id, tuned)
            for part in (fetcher, sink):
                stack.callback(getattr(part, "close", lambda: None))
            return replace(parts, fetcher=fetcher, sink=sink, lag=throttler.lag(tuned))

        running = running_source(
            tuned,
            source_id,
            observer=TroubleLog(),
            continuous=continuous,
            replace=with_resources,
            tune=tune,
        )
        yield stack.enter_context(running)
