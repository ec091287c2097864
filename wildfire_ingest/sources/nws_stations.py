"""What to ask api.weather.gov for: observations of a station or zone, the stations of a state.

Pure.  Pages go on with the query of the answer's own `next` link, below the path that was asked:
wherever such a link points, only the API is asked.  Source: https://api.weather.gov/openapi.json.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from wildfire_ingest.errors import ConfigError
from wildfire_ingest.exchange import Request
from wildfire_ingest.sources.nws_answer import ACCEPT, FeatureList
from wildfire_ingest.sources.nws_observation import STATION
from wildfire_ingest.sources.nws_rotation import HOUR_S, ZONE_MARK
from wildfire_ingest.sources.settings import NwsObservationsSettings

PAGE_ROWS = 500
"""The most that the API gives at once."""
MAX_PAGES = 20
"""Of one list; no state has 10,000 stations, and 7 days of 5 minutes have 2,016 rows."""

_ZONE = re.compile(r"[A-Z]{2}[CZ]\d{3}", re.ASCII)
_STATE = re.compile(r"[A-Z]{2}", re.ASCII)
_QUERY = re.compile(r"[A-Za-z0-9%=&._:+~/-]{1,2000}", re.ASCII)


class _Station(msgspec.Struct, frozen=True, rename="camel"):
    station_identifier: str = ""


class _Feature(msgspec.Struct, frozen=True):
    properties: _Station


_feature = msgspec.json.Decoder(_Feature).decode


def targets(settings: NwsObservationsSettings) -> list[str]:
    """The stations and zones that are named.  Raises ConfigError for what cannot be one."""
    source = f"source {settings.source_id}"
    stations = [name.strip().upper() for name in settings.stations]
    zones = [name.strip().upper() for name in settings.zones]
    for name in stations:
        if not STATION.fullmatch(name):
            raise ConfigError(f"{source}: station {name[:40]!r}: expected an id like KSAC")
    for name in zones:
        if not _ZONE.fullmatch(name):
            raise ConfigError(f"{source}: zone {name[:40]!r}: expected a zone like CAZ041")
    if settings.state is not None and not _STATE.fullmatch(settings.state):
        raise ConfigError(f"{source}: state {settings.state[:40]!r}: expected two letters, e.g. CA")
    if not (stations or zones or settings.state):
        raise ConfigError(
            f"{source}: nothing to ask for; set custom_params.stations, zones or state"
        )
    return list(dict.fromkeys([*stations, *(ZONE_MARK + zone for zone in zones)]))


def observations(target: str, start_h: int) -> Request:
    """What one station or zone measured since an hour; 404 is usual for one without data."""
    start = datetime.fromtimestamp(start_h * HOUR_S, UTC)
    zone = target.removeprefix(ZONE_MARK)
    path = f"/stations/{target}" if zone == target else f"/zones/forecast/{zone}"
    return _request(f"{path}/observations?start={start:%Y-%m-%dT%H:%M:%SZ}&limit={PAGE_ROWS}")


def stations_of(state: str) -> Request:
    """The first page of a state's stations."""
    template = f"/stations?state={state}&limit={PAGE_ROWS}"
    return Request(template, headers=ACCEPT, expects="json", whole=True)


def following(request: Request, page: FeatureList) -> Request | None:
    """The request for the page behind this one; None where there is no such link."""
    try:
        query = urlsplit(page.next_url).query
    except ValueError:
        return None
    if not _QUERY.fullmatch(query):
        return None
    template = f"{request.template.partition('?')[0]}?{query}"
    return replace(request, template=template, continues=True)


def station_ids(page: FeatureList) -> list[str]:
    """The ids that one page of stations has; a row that has none is passed over."""
    found: list[str] = []
    for raw in page.features:
        try:
            name = _feature(raw).properties.station_identifier
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        if STATION.fullmatch(name):
            found.append(name)
    return found


def _request(template: str) -> Request:
    return Request(template, headers=ACCEPT, expects="json", may_be_missing=True)
