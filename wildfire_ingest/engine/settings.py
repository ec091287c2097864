"""What the engine needs to know of one source beyond what its rooms know; built by config."""

from __future__ import annotations

from dataclasses import dataclass, field

from wildfire_ingest.dispatch.settings import QueueSettings, ThrottleSettings

GIVE_UP_S = 120.0
"""A batch or real_time run that cannot deliver for so long ends as a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """One source's pace and limits; times in seconds."""

    source_id: str
    dlq_topic: str
    dlq_enabled: bool = True
    """False: a record that the broker refuses is quarantined."""
    queue: QueueSettings = field(default_factory=QueueSettings)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    topics: tuple[str, ...] = ()
    """Every topic this source may write to: read back when a spool is lost."""
    polling_interval_s: float = 30.0
    give_up_after_s: float | None = GIVE_UP_S
    """A run that cannot deliver for so long ends; None = never (continuous)."""
    max_retries: int = 3
    retry_backoff_base: float = 2.0
    """Waits of a record that the broker refuses: base^0, base^1 … seconds."""
    bulk_max_records: int = 20_000
    bulk_max_bytes: int = 16 * 1024 * 1024
    window_s: int = 8 * 86_400
    spool_max_bytes: int | None = None
    spool_max_age_s: float | None = None
    drain_s: float = 7.0
    """A run that was asked to stop delivers what waits for so long at most; it ends within 10 s."""
    housekeeping_s: float = 30.0
