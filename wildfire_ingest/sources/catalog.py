"""Which source types can run, by the name that stream_config.yaml uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wildfire_ingest.sources.nasa_firms import NasaFirms
from wildfire_ingest.sources.noaa_alerts import NoaaAlerts
from wildfire_ingest.sources.noaa_weather import NoaaWeather
from wildfire_ingest.sources.settings import (
    FirmsSettings,
    NwsAlertsSettings,
    NwsObservationsSettings,
)

CONNECTORS: Mapping[str, Callable[[Any], Any]] = {
    NasaFirms.source_type: NasaFirms,
    NoaaAlerts.source_type: NoaaAlerts,
    NoaaWeather.source_type: NoaaWeather,
}
"""How one FIRMS product is polled and read, and its like."""

_OF_SETTINGS: Mapping[type, Callable[[Any], Any]] = {
    FirmsSettings: NasaFirms,
    NwsAlertsSettings: NoaaAlerts,
    NwsObservationsSettings: NoaaWeather,
}


def build_connector(settings: object) -> Any:  # each fulfils the engine's protocol Source
    """The source of these settings.  Raises ConfigError for settings that cannot work."""
    return _OF_SETTINGS[type(settings)](settings)
