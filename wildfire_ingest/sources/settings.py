"""What a source needs to know; built by config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wildfire_ingest.exchange import Secret

Feed = Literal["api", "static"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmsSettings:
    """One FIRMS product over one area."""

    source_id: str
    product: str = "VIIRS_SNPP_NRT"
    area: str = "world"
    """`world`, or `west,south,east,north` in degrees; the API's area, unused by static files."""
    day_range: int = 1
    """The least number of UTC days to ask for, 1..5; more are asked for when needed."""
    map_key: Secret | None = None
    """Needed by the API, not by the static files."""
    feed: Feed = "api"
    static_span: str = "24h"
    """24h, 48h or 7d."""
    static_region: str = "Global"
    """As in the file's name: Global, USA_contiguous_and_Hawaii, Canada, South_America …"""
    window_s: int | None = None
    """None: longer than the span that the feed serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NwsObservationsSettings:
    """Observations of NWS stations: those named, those of the zones, those of the state."""

    source_id: str
    stations: tuple[str, ...] = ()
    """Station ids, e.g. KSAC."""
    zones: tuple[str, ...] = ()
    """Forecast zones, e.g. CAZ041: one request has all their stations."""
    state: str | None = None
    """Two letters: every station of the state, in rotation."""
    data_types: tuple[str, ...] = ()
    """Measurements to keep; none: all."""
    requests_per_poll: int = 20
    """So many stations or zones a poll; the next poll goes on where this one ended."""
    window_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NwsAlertsSettings:
    """Active NWS alerts of a state, of zones, or of the whole country."""

    source_id: str
    state: str | None = None
    zones: tuple[str, ...] = ()
    alert_types: tuple[str, ...] = ()
    """Events to keep, e.g. Red Flag Warning, in any case of letters; none: all."""
    requests_per_poll: int = 20
    """What the pace allows; alerts missed in an outage are asked for with what is left of it."""
    window_s: int | None = None
