"""What the API client of one source needs to know; built by config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

USER_AGENT = "wildfire-ingest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiQuota:
    """A published quota: at most `units` in any `interval_s`, shared by all who use `name`."""

    name: str
    """The API (and the key's hash where the quota is per key), e.g. `firms`."""
    units: float
    interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """One source's client."""

    source_id: str
    base_url: str
    state_dir: Path
    rate_limit_per_minute: int = 60
    rate_burst: int | None = None
    """So many requests at once; None = a twelfth of the limit.  The limit holds either way."""
    quota: ApiQuota | None = None
    deadline_s: float = 30.0
    """For a whole request with its retries, body included."""
    cache_ttl_s: float = 60.0
    """0 = no repeat is answered from the cache."""
    look_ttl_s: float = 0.0
    """How long a poll may take over what a look was answered; 0 = as long as cache_ttl_s."""
    max_body_bytes: int = 64 * 1024 * 1024
    allow_insecure_http: bool = False
    ca_file: Path | None = None
    """Certificates to trust instead of the public ones: a private server's authority."""
    max_consecutive_failures: int = 10
    circuit_open_s: float = 60.0
    max_attempts: int = 3
    backoff_base_s: float = 1.0
    backoff_max_s: float = 30.0
    user_agent: str = USER_AGENT
