"""All Dagster objects of one configuration; no network, no disk: Dagster asks often."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.orchestration import (
    batch,
    checks,
    continuous,
    health,
    maintenance,
    realtime,
    supervisor,
    translator,
)
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    ThrottlerResource,
)
from wildfire_ingest.sources.catalog import CONNECTORS

LOG = logging.getLogger("wildfire_ingest.definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What Dagster gets of one source, by its mode."""

    asset: Any
    job: Any
    schedules: Sequence[dg.ScheduleDefinition] = field(default_factory=list)
    sensors: Sequence[dg.SensorDefinition] = field(default_factory=list)


def build_definitions(
    config: StreamConfig, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Assets, jobs, schedules and sensors of the sources that this process owns.

    `resources` replaces `api`, `kafka` or `throttler`, e.g. by a test's subclass.
    """
    sources = [source for source in config.owned_sources if source.source_type in CONNECTORS]
    objects = [objects_of(config, source) for source in sources]
    well = health.health_objects(config)
    jobs = [*(one.job for one in objects), *well.jobs]
    nightly, every_night = maintenance.maintenance(config, [job.name for job in jobs])
    return dg.Definitions(
        assets=[
            *(one.asset for one in objects),
            *translator.topic_specs(config, sources),
            *well.assets,
        ],
        asset_checks=[
            *(checks.source_checks(config, source) for source in sources),
            *well.checks,
        ],
        jobs=[*jobs, nightly],
        schedules=[*(schedule for one in objects for schedule in one.schedules), every_night],
        sensors=[
            *(sensor for one in objects for sensor in one.sensors),
            supervisor.removal_sensor(config),
            *well.sensors,
        ],
        resources={
            "api": ApiClientResource.of(config),
            "kafka": KafkaProducerResource.of(config),
            "throttler": ThrottlerResource.of(config),
            **(resources or {}),
        },
        executor=dg.in_process_executor,  # also for runs that the asset graph starts
    )


def objects_of(config: StreamConfig, source: SourceModel) -> Objects:
    """A schedule, a sensor or a long-lived op: the source's mode decides."""
    if source.ingestion.mode == "continuous_streaming":
        job = continuous.stream_job(config, source)
        return Objects(
            asset=continuous.stream_asset(config, source),
            job=job,
            sensors=[supervisor.supervising_sensor(config, source, job)],
        )
    asset, run = batch.source_asset(config, source), batch.source_job(config, source)
    if source.cron is None:
        return Objects(asset=asset, job=run, sensors=[realtime.poll_sensor(config, source, run)])
    return Objects(
        asset=asset, job=run, schedules=[batch.source_schedule(source, source.cron, run)]
    )
