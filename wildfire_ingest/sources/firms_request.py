"""What to ask FIRMS for: path, span in UTC days, and what the request costs.

Pure.  Times are integer microseconds or seconds since the epoch, UTC.
Source: https://firms.modaps.eosdis.nasa.gov/api/area/ (DAY_RANGE 1..5 since 2025).
"""

from __future__ import annotations

import math
import re

from wildfire_ingest.errors import ConfigError
from wildfire_ingest.exchange import Request
from wildfire_ingest.sources.settings import FirmsSettings

SECOND_US = 1_000_000
HOUR_S = 3600
DAY_S = 86_400

LATENESS_S = 4 * HOUR_S
"""Rows are published up to 3.5 hours after the scan: so long yesterday is asked for too."""
OUTAGE_S = 6 * HOUR_S
"""A longer silence of ours is an outage: then FIRMS itself may have caught up late."""
DAYS_AFTER_OUTAGE = 3
MAX_DAYS = 5

STATIC_FILES = {
    "VIIRS_SNPP_NRT": ("suomi-npp-viirs-c2", "SUOMI_VIIRS_C2"),
    "VIIRS_NOAA20_NRT": ("noaa-20-viirs-c2", "J1_VIIRS_C2"),
    "VIIRS_NOAA21_NRT": ("noaa-21-viirs-c2", "J2_VIIRS_C2"),
    "MODIS_NRT": ("modis-c6.1", "MODIS_C6_1"),
}
"""Product of the API -> folder and name of its static files."""
STATIC_SPANS = {"24h": DAY_S, "48h": 2 * DAY_S, "7d": 7 * DAY_S}

_COORDINATE = re.compile(r"-?\d{1,3}(\.\d{1,6})?")
_REGION = re.compile(r"[A-Za-z_]{2,40}")


def check(settings: FirmsSettings) -> None:
    """Raises ConfigError where these settings can make no request."""
    if settings.product not in STATIC_FILES:
        raise ConfigError(
            f"source {settings.source_id}: product {settings.product!r} is not supported;"
            f" expected one of {', '.join(STATIC_FILES)} (LANDSAT, geostationary, burned area"
            " and standard products have other columns or no recent rows)"
        )
    if not 1 <= settings.day_range <= MAX_DAYS:
        raise ConfigError(
            f"source {settings.source_id}: day_range {settings.day_range}: expected 1..{MAX_DAYS}"
        )
    if settings.feed == "static":
        _check_static(settings)
        return
    if settings.map_key is None or not settings.map_key.reveal():
        raise ConfigError(
            f"source {settings.source_id}: the FIRMS API needs a map_key; set it to"
            " ${ENV:FIRMS_MAP_KEY}, or use feed: static"
        )
    box(settings)


def _check_static(settings: FirmsSettings) -> None:
    if settings.static_span not in STATIC_SPANS:
        raise ConfigError(
            f"source {settings.source_id}: static_span {settings.static_span!r}:"
            f" expected one of {', '.join(STATIC_SPANS)}"
        )
    if not _REGION.fullmatch(settings.static_region):
        raise ConfigError(
            f"source {settings.source_id}: static_region {settings.static_region!r}:"
            " expected letters and underscores, as in the file's name, e.g. Global"
        )


def box(settings: FirmsSettings) -> tuple[float, float, float, float]:
    """west, south, east, north in degrees.  Raises ConfigError."""
    if settings.area == "world":
        return (-180.0, -90.0, 180.0, 90.0)
    parts = [part.strip() for part in settings.area.split(",")]
    if len(parts) == 4 and all(_COORDINATE.fullmatch(part) for part in parts):  # noqa: PLR2004 - a box has 4 sides
        west, south, east, north = (float(part) for part in parts)
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:  # noqa: PLR2004 - degrees
            return (west, south, east, north)
    raise ConfigError(
        f"source {settings.source_id}: area {settings.area!r}: expected world, or"
        " west,south,east,north in degrees, e.g. -125,32,-114,42"
    )


def days_to_ask(settings: FirmsSettings, last_s: int | None, now_s: int) -> int:
    """How many UTC days, today included, hold all rows that may be new since the last poll.

    A last poll in the future says nothing (a clock was wrong): then all that the API has.
    """
    since_s = now_s if last_s is None else last_s
    if since_s > now_s + LATENESS_S:
        return MAX_DAYS
    since_s = min(since_s, now_s)
    days = now_s // DAY_S - (since_s - LATENESS_S) // DAY_S + 1
    if now_s - since_s > OUTAGE_S:
        days = max(days, DAYS_AFTER_OUTAGE)
    return min(max(days, settings.day_range), MAX_DAYS)


def cost(settings: FirmsSettings, days: int) -> float:
    """Units of the key's quota: 60-degree tiles x weight of the product x days."""
    west, south, east, north = box(settings)
    tiles = math.ceil((east - west) / 60) * math.ceil((north - south) / 60)
    weight = 2.0 if settings.product.startswith("VIIRS") else 0.5
    return tiles * weight * days


def request(settings: FirmsSettings, days: int) -> Request:
    """The request for so many UTC days, today included; a static file has its own span."""
    if settings.feed == "static":
        folder, name = STATIC_FILES[settings.product]
        file = f"{name}_{settings.static_region}_{settings.static_span}.csv"
        return Request(template=f"/data/active_fire/{folder}/csv/{file}")
    if settings.map_key is None:
        raise ConfigError(f"source {settings.source_id}: the FIRMS API needs a map_key")
    area = settings.area.replace(" ", "")
    return Request(
        template=f"/api/area/csv/{{map_key}}/{settings.product}/{area}/{days}",
        secrets={"map_key": settings.map_key},
        cost=cost(settings, days),
    )
