"""stream_config.yaml as one frozen value.

Units stand in the keys' names.  Made by `loader.load`, which also checks what lies between keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from wildfire_ingest.config.base import Model, Seconds, Sequence
from wildfire_ingest.config.kafka import KafkaModel
from wildfire_ingest.config.operations import (
    HealthCheckModel,
    LoggingModel,
    MonitoringModel,
    PerformanceModel,
    ReliabilityModel,
)
from wildfire_ingest.config.overlay import DEFAULT_ENVIRONMENT
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.config.throttling import ThrottlingModel
from wildfire_ingest.config.topics import TopicModel, TopicRulesModel

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class StreamConfig(Model):
    """The whole configuration."""

    kafka: KafkaModel = KafkaModel()
    """The cluster."""
    throttling: ThrottlingModel = ThrottlingModel()
    """How consumer lag slows a source down."""
    queue_max_size: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Records in the in-memory queue; a full queue loads no more, nothing is lost."""
    queue_overflow_strategy: Literal["drop_oldest", "drop_newest", "block"] = "drop_oldest"
    """What happens at spool_max_bytes or spool_max_age_seconds."""
    enable_dlq: bool = True
    """false: rejects stay in the spool's quarantine."""
    enable_metrics: bool = True
    """false: no periodic materializations of a continuous run, only its last."""
    metrics_interval_seconds: Seconds = 60.0
    """Time between those, s."""
    keep_runs_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Dagster's ended runs and their plots are deleted after so many days; 0 = never."""
    topics: dict[str, TopicModel] = Field(default_factory=dict)
    """The declared topics by name; `wildfire-default` exists without being declared."""
    topic_rules: TopicRulesModel = TopicRulesModel()
    """Content and pattern rules; without them the earlier system's, to declared topics only."""
    custom_topic_mappings: dict[str, str] = Field(default_factory=dict)
    """Source id -> topic; wins over every rule."""
    priority_sources: Sequence[str] = ()
    """Sources whose records take the CRITICAL lane."""
    sources: dict[str, SourceModel] = Field(default_factory=dict)
    """The sources by id."""
    state_dir: Annotated[Path, Field(strict=False)] = Path(".wildfire/state")
    """Folder of spools, caches and buckets, relative to the file's own folder."""
    spool_max_bytes: Annotated[int, Field(ge=1_048_576)] | None = None
    """Where a spool overflows, bytes per source; unset = only the disk limits it."""
    spool_max_age_seconds: Seconds | None = None
    """Age at which unsent data overflows, s; unset = never."""
    spool_retain_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Sent payloads are kept so long at least, s."""
    min_free_disk_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Polling waits below so much free disk, bytes."""
    allow_drop_critical: bool = False
    """Whether an overflow may drop CRITICAL records."""
    environment_name: Name = DEFAULT_ENVIRONMENT
    """Name of this deployment (WILDFIRE_ENV); chooses the overlay, marks transactional ids."""
    environment: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Overlays by environment_name; first keys may be dotted (kafka.bootstrap_servers)."""
    instance: Name | None = None
    """This process's instance (WILDFIRE_INSTANCE): it runs the sources that name it."""
    monitoring: MonitoringModel = MonitoringModel()
    """Metrics and dashboards."""
    logging: LoggingModel = LoggingModel()
    """Events."""
    health_check: HealthCheckModel = HealthCheckModel()
    """Health."""
    reliability: ReliabilityModel = ReliabilityModel()
    """Circuit breaker and dead letters."""
    performance: PerformanceModel = PerformanceModel()
    """Switches of the earlier file."""

    @property
    def owned_sources(self) -> tuple[SourceModel, ...]:
        """The enabled sources that this process runs."""
        return tuple(
            source
            for source in self.sources.values()
            if source.enabled and (self.instance is None or source.instance == self.instance)
        )
