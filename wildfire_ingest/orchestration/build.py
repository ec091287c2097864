"""All Dagster objects of one configuration; no network, no disk: Dagster asks often."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg

from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.orchestration import batch, translator
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.sources.catalog import CONNECTORS

LOG = logging.getLogger("wildfire_ingest.definitions")


def build_definitions(
    config: StreamConfig, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Assets, jobs and schedules of the sources that this process owns.

    `resources` replaces `api`, `kafka` or `throttler`, e.g. by a test's subclass.
    """
    sources = [source for source in config.owned_sources if source.source_type in CONNECTORS]
    jobs = {source.source_id: batch.source_job(config, source) for source in sources}
    return dg.Definitions(
        assets=[
            *(batch.source_asset(config, source) for source in sources),
            *translator.topic_specs(config, sources),
        ],
        jobs=list(jobs.values()),
        schedules=[
            batch.source_schedule(source, source.cron, jobs[source.source_id])
            for source in sources
            if has_schedule(source) and source.cron is not None
        ],
        resources={
            "api": ApiClientResource.of(config),
            "kafka": KafkaProducerResource.of(config),
            "throttler": ThrottlerResource.of(config),
            **(resources or {}),
        },
        executor=dg.in_process_executor,  # also for runs that the asset graph starts
    )


def has_schedule(source: SourceModel) -> bool:
    """Whether a schedule starts it; the other modes are started by hand until theirs is built."""
    if source.ingestion.mode == "batch":
        return True
    LOG.warning(
        "source %s: what starts a %s source is not built yet; start job ingest_%s by hand,"
        " or use mode batch",
        source.source_id,
        source.ingestion.mode,
        source.source_id,
    )
    return False
