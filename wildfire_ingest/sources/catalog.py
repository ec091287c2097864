"""Which source types can run, by the name that stream_config.yaml uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wildfire_ingest.sources.nasa_firms import NasaFirms
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.noaa_weather import NoaaWeather

CONNECTORS: Mapping[str, Callable[[Any], Any]] = {
    NasaFirms.source_type: NasaFirms,
    NoaaAlerts.source_type: NoaaAlerts,
    NoaaWeather.source_type: NoaaWeather,
}
"""How a source of that type is polled and read: from its settings to the engine's Source."""
