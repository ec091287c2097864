"""The demo's sources, one list: what each asks, in which mode, and what Dagster calls its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wildfire_ingest.config.source import Mode

MODES: tuple[Mode, ...] = ("batch", "real_time", "continuous_streaming")
CONTACT = "wildfire-ingest demo (demo@example.org)"
"""NWS, and so its simulator, refuses a client that does not say whom to call."""
CACHED_S = 1
"""Shorter than every pace, so that each poll asks; with none answers would not be kept, and
nobody could ask whether they have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSource:
    """One source of the demo's configuration."""

    source_id: str
    source_type: str
    topic: str
    mode: Mode
    pace: Mapping[str, Any]
    """The other keys of `ingestion`."""
    params: Mapping[str, Any]
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> str:
        """The job whose runs poll it."""
        kind = "continuous" if self.mode == "continuous_streaming" else "ingest"
        return f"{kind}_{self.source_id}"

    @property
    def asset_key(self) -> tuple[str, ...]:
        return ("wildfire", self.source_type, self.source_id)

    def configuration(self, base_url: str, suffix: str) -> dict[str, Any]:
        """Its entry under `sources:`; `suffix` keeps its topic apart from other ones."""
        return {
            "source_type": self.source_type,
            "topic": self.topic + suffix,
            "ingestion": {"mode": self.mode, **self.pace},
            "base_url": base_url,
            "cache_ttl_seconds": CACHED_S,
            **self.limits,
            "custom_params": dict(self.params),
        }


SOURCES = (
    DemoSource(
        source_id="firms_viirs_snpp",
        source_type="nasa_firms",
        topic="wildfire-nasa-firms",
        mode="batch",
        pace={"schedule_interval_seconds": 60},
        params={"product": "VIIRS_SNPP_NRT", "area": "world", "day_range": 2},
    ),
    DemoSource(
        source_id="firms_modis",
        source_type="nasa_firms",
        topic="wildfire-nasa-firms",
        mode="batch",
        pace={"schedule_interval_seconds": 60},
        params={"product": "MODIS_NRT", "feed": "static", "static_region": "Global"},
    ),
    DemoSource(
        source_id="noaa_alerts_ca",
        source_type="noaa_alerts",
        topic="wildfire-weather-alerts",
        mode="real_time",
        # `inline` would be cheaper at this pace: here a run for each news is to be seen.
        pace={"polling_interval_seconds": 30, "execution": "run"},
        params={"state": "CA", "user_agent": CONTACT},
    ),
    DemoSource(
        source_id="noaa_stations_ca",
        source_type="noaa_weather",
        topic="wildfire-weather-data",
        mode="continuous_streaming",
        pace={"polling_interval_seconds": 5, "buffer_flush_interval_seconds": 2},
        params={"state": "CA", "user_agent": CONTACT},
        limits={"rate_limit_per_minute": 120},
    ),
)
"""One FIRMS source asks the API, the other the static file; the pace is for people who watch."""
