"""Which source types can run, by the name that stream_config.yaml uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wildfire_ingest.sources.nasa_firms import NasaFirms
from wildfire_ingest.sources.settings import FirmsSettings

CONNECTORS = {NasaFirms.source_type: NasaFirms}
"""How one FIRMS product is polled and read, and its like."""

_OF_SETTINGS: dict[type, Callable[[Any], Any]] = {FirmsSettings: NasaFirms}


def build_connector(settings: object) -> Any:  # each fulfils the engine's protocol Source
    """The source of these settings.  Raises ConfigError for settings that cannot work."""
    return _OF_SETTINGS[type(settings)](settings)
