"""One entry of `sources:`: which API is asked, how often, and where its records go.

Times in seconds, rates per minute as the key says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from wildfire_ingest.config.base import Model, Seconds, Sequence
from wildfire_ingest.config.connectors import CONNECTORS, Connector
from wildfire_ingest.config.schedule import cron_of_interval, longest_gap_s
from wildfire_ingest.config.topics import Priority

Mode = Literal["batch", "real_time", "continuous_streaming"]
DEFAULT_SCHEDULE_S = 3600
DEFAULT_POLL_S = 30.0
LEAST_RUN_INTERVAL_S = 60.0
"""A Dagster run costs 3 CPU-seconds and 7 s before it polls: news that comes faster needs none."""
FRESH_POLLS, LEAST_FRESHNESS_S = 3, 300.0
"""So many polls without news, and so long, are nothing unusual."""
KEYS_OF_MODE: dict[str, frozenset[str]] = {
    "schedule_interval_seconds": frozenset({"batch"}),
    "schedule_cron": frozenset({"batch"}),
    "polling_interval_seconds": frozenset({"real_time", "continuous_streaming"}),
    "buffer_size": frozenset({"continuous_streaming"}),
    "buffer_flush_interval_seconds": frozenset({"continuous_streaming"}),
    "batch_size": frozenset({"batch", "real_time"}),
    "batch_timeout_seconds": frozenset({"batch", "real_time"}),
    "execution": frozenset({"real_time"}),
}
"""Keys that only some modes have."""


class IngestionModel(Model):
    """How a source is polled."""

    mode: Mode = "real_time"
    """`batch` by a schedule, `real_time` by a sensor, `continuous_streaming` by a long run."""
    polling_interval_seconds: Annotated[float, Field(ge=1, le=86_400)] | None = None
    """Time between polls, s (real_time, continuous_streaming); default 30."""
    schedule_interval_seconds: Annotated[int, Field(ge=1)] | None = None
    """Time between runs, s (batch); default 3600; must be one that a cron line can say."""
    schedule_cron: str | None = None
    """Cron line of five fields, UTC, instead of an interval (batch)."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Records that NORMAL and LOW gather (batch, real_time); default kafka.batch_size."""
    batch_timeout_seconds: Seconds | None = None
    """Longest that they gather, s; default performance.batch_timeout_seconds."""
    buffer_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Records that NORMAL and LOW gather (continuous_streaming); default 100."""
    buffer_flush_interval_seconds: Seconds | None = None
    """Longest that they gather, s (continuous_streaming); default 5."""
    max_records_per_poll: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """A larger poll is cut into loads of so many records, never truncated; default 5000."""
    execution: Literal["run", "inline"] | None = None
    """real_time: a Dagster run for news, or in the sensor; default inline for periods < 60 s."""


class SourceModel(Model):
    """One source."""

    source_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]
    """The source's id: its key under `sources:`; letters, digits and _."""
    source_type: str
    """Which API: nasa_firms, noaa_weather …"""
    enabled: bool = True
    """Whether it is polled."""
    ingestion: IngestionModel = IngestionModel()
    """How it is polled."""
    topic: str | None = None
    """Its topic, instead of pattern and default; mapping and content rules still win."""
    priority: Priority | None = None
    """Lane of its records where no rule says otherwise; default per source type."""
    rate_limit_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 60
    """Most requests a minute, each attempt counted."""
    timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Deadline of a request with its retries, body included, s."""
    cache_ttl_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """How long an answer is reused instead of asking again, s; 0 = never."""
    custom_params: SerializeAsAny[Model] = Model()
    """What is asked of this API; keys per source type below."""
    base_url: str | None = None
    """Another server; https, or http to loopback. `${ENV:NAME}` is allowed."""
    allow_insecure_http: bool = False
    """Allow plain http to another host."""
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    """The instance that owns the source, as WILDFIRE_INSTANCE names it."""
    window_days: Annotated[int, Field(ge=1, le=366)] | None = None
    """Rows observed earlier are too late, days; default per connector."""
    freshness_seconds: Annotated[int, Field(ge=120, le=366 * 86_400)] | None = None
    """Silence after which its asset counts as stale, s (a warning after half of it); default per
    connector, at least three polls and 5 minutes."""
    owners: Sequence[Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+|team:[A-Za-z0-9_]+)$")]] = ()
    """Who answers for it: e-mail addresses or team:name."""

    @property
    def connector(self) -> Connector:
        """What is known of its API."""
        return CONNECTORS[self.source_type]

    @property
    def poll_interval_s(self) -> float | None:
        """Time between polls; None where a cron line decides."""
        if self.ingestion.mode != "batch":
            return self.ingestion.polling_interval_seconds or DEFAULT_POLL_S
        if self.ingestion.schedule_cron is not None:
            return None
        return float(self.ingestion.schedule_interval_seconds or DEFAULT_SCHEDULE_S)

    @property
    def is_inline(self) -> bool:
        """Whether the sensor of a real_time source delivers by itself, without a run."""
        if self.ingestion.execution is not None:
            return self.ingestion.execution == "inline"
        return (self.poll_interval_s or 0.0) < LEAST_RUN_INTERVAL_S

    @property
    def has_own_pace(self) -> bool:
        """Whether the file says how often the API is asked; else nobody chose it."""
        intervals = {"polling_interval_seconds", "schedule_interval_seconds"}
        written = self.ingestion.model_fields_set & intervals
        return bool(written) or "cache_ttl_seconds" in self.model_fields_set

    @property
    def cron(self) -> str | None:
        """The cron line (UTC) of a batch source; None in the other modes."""
        if self.ingestion.mode != "batch":
            return None
        interval_s = self.ingestion.schedule_interval_seconds or DEFAULT_SCHEDULE_S
        return self.ingestion.schedule_cron or cron_of_interval(interval_s, self.source_id)

    @property
    def freshness_s(self) -> float:
        """How long it may be silent."""
        if self.freshness_seconds is not None:
            return float(self.freshness_seconds)
        polls_s = FRESH_POLLS * self.longest_poll_gap_s
        return max(self.connector.freshness_s, polls_s, LEAST_FRESHNESS_S)

    @property
    def longest_poll_gap_s(self) -> float:
        """Time between two polls; of a cron line an upper bound."""
        return self.poll_interval_s or longest_gap_s(self.ingestion.schedule_cron or "")

    @property
    def server(self) -> str:
        """Where its API is asked."""
        return (self.base_url or self.connector.base_url).rstrip("/")
