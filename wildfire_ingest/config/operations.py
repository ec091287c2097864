"""The blocks of the earlier file about running it: monitoring, logging, health, limits.

Times in seconds.  Which of their keys have no effect yet is lint's table.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wildfire_ingest.config.base import Model, Seconds, Sequence

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class PrometheusModel(Model):
    """Where metrics are served."""

    enabled: bool = False
    """Whether /metrics is served."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 9090
    """TCP port."""
    metrics_path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_/-]*$")] = "/metrics"
    """Path of the metrics page."""


class GrafanaModel(Model):
    """Names of the dashboards."""

    enabled: bool = False
    """Whether dashboards are wanted."""
    dashboards: Sequence[str] = ()
    """Dashboards by name."""


class MonitoringModel(Model):
    """What is watched from outside."""

    prometheus: PrometheusModel = PrometheusModel()
    """Metrics endpoint."""
    grafana: GrafanaModel = GrafanaModel()
    """Dashboards."""


class LoggingModel(Model):
    """How events are written."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Least severity that is written."""
    format: Literal["json", "text"] = "json"
    """One JSON object or one text line an event."""
    output: Literal["stdout", "stderr", "file"] = "stdout"
    """Where events go."""
    file_path: str | None = None
    """File, with `output: file`."""


class HealthCheckModel(Model):
    """How health is asked for."""

    enabled: bool = True
    """Whether health is checked."""
    interval_seconds: Seconds = 30.0
    """Time between checks, s."""
    timeout_seconds: Seconds = 5.0
    """Deadline of a check, s."""
    endpoints: Sequence[str] = ()
    """Components by name."""


class ReliabilityModel(Model):
    """When to stop asking, and what to do with dead letters."""

    max_consecutive_failures: Annotated[int, Field(ge=1, le=1000)] = 10
    """Failed requests in a row that open a source's circuit."""
    circuit_breaker_timeout_seconds: Seconds = 60.0
    """How long an open circuit asks nothing, s."""
    dlq_retry_attempts: Count = 3
    """Attempts of an automatic replay of dead letters."""
    dlq_retry_delay_seconds: Seconds = 300.0
    """Wait before such a replay, s."""


class PerformanceModel(Model):
    """Switches of the earlier file."""

    enable_batching: bool = True
    """false: NORMAL and LOW records do not gather either."""
    batch_timeout_seconds: Seconds = 5.0
    """Longest that NORMAL and LOW records gather, s."""
    enable_compression: bool = True
    """false: nothing is compressed, whatever kafka.compression_type says."""
    enable_caching: bool = True
    """false: no response cache, whatever cache_ttl_seconds says."""
    max_concurrent_streams: Annotated[int, Field(ge=1)] = 50
    """Streams at once."""
