"""The FIRMS API and its static files, over a seeded world: the same paths, texts and statuses.

Knows the truth of what it served (firms_truth), under /_simulator/state.  Times are microseconds
since the epoch; `speed` lets the world's time run faster than the clock's.
"""

from __future__ import annotations

import calendar
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.simulator import firms_quota, firms_wire
from wildfire_ingest.simulator.firms_truth import Truth
from wildfire_ingest.simulator.firms_world import (
    DAY_S,
    FirmsWorld,
    Pixel,
    Satellite,
    WorldSettings,
)
from wildfire_ingest.simulator.server import PAGE, Reply, json_reply

Box = tuple[float, float, float, float]

PRODUCTS: dict[str, tuple[Satellite, ...]] = {
    "VIIRS_SNPP_NRT": ("N",),
    "VIIRS_NOAA20_NRT": ("N20",),
    "VIIRS_NOAA21_NRT": ("N21",),
    "MODIS_NRT": ("Terra", "Aqua"),
}
STATIC = {
    "SUOMI_VIIRS_C2": ("suomi-npp-viirs-c2", "VIIRS_SNPP_NRT"),
    "J1_VIIRS_C2": ("noaa-20-viirs-c2", "VIIRS_NOAA20_NRT"),
    "J2_VIIRS_C2": ("noaa-21-viirs-c2", "VIIRS_NOAA21_NRT"),
    "MODIS_C6_1": ("modis-c6.1", "MODIS_NRT"),
}
WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
REGIONS: dict[str, Box] = {
    "Global": WORLD,
    "USA_contiguous_and_Hawaii": (-160.0, 18.0, -65.0, 50.0),
    "Canada": (-141.0, 41.0, -52.0, 84.0),
    "South_America": (-82.0, -56.0, -34.0, 13.0),
}
DAYS_BEFORE_TODAY = {"24h": 1, "48h": 2, "7d": 7}
"""A static file begins at 00:00 UTC so many days ago."""
MAX_DAYS = 5
SPENT = (
    b"MAP_KEY is invalid or your have exceeded your transaction/time limit."
    b" Please try again later.\n"
)
_AREA = re.compile(r"/api/area/csv/([^/]+)/([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?/?")
_AVAILABILITY = re.compile(r"/api/data_availability/csv/([^/]+)/([A-Z0-9_]+)/?")
_STATIC = re.compile(
    rf"/data/active_fire/([a-z0-9.-]+)/csv/({'|'.join(STATIC)})_([A-Za-z_]+)_(24h|48h|7d)\.csv"
)


class FirmsSimulator:
    """One FIRMS server.  `map_keys` None accepts any key."""

    def __init__(
        self,
        settings: WorldSettings,
        start_us: int,
        *,
        speed: float = 1.0,
        map_keys: frozenset[str] | None = None,
        quota_units: float = firms_quota.LIMIT,
        quota_status: Literal[400, 429] = 400,
    ) -> None:
        self._world = FirmsWorld(settings, start_us // SECOND_US)
        self._start_us = start_us
        self._speed = speed
        self._map_keys = map_keys
        self._quota = firms_quota.Quota(quota_units)
        self._quota_status = quota_status
        self._lock = threading.Lock()
        self._refused = 0
        self._truth = Truth()

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        world_us = self._start_us + int((now_us - self._start_us) * self._speed)
        parts = urlsplit(path)
        if found := _AREA.fullmatch(parts.path):
            return self._area(found.groups(), world_us, now_us)
        if found := _STATIC.fullmatch(parts.path):
            return self._static(found.groups(), headers, world_us // SECOND_US)
        if found := _AVAILABILITY.fullmatch(parts.path):
            return self._availability(found[1], found[2], world_us // SECOND_US)
        if parts.path.rstrip("/") == "/mapserver/mapkey_status":
            return self._key_status(parse_qs(parts.query).get("MAP_KEY", [""])[0], now_us)
        if parts.path.startswith("/api/"):
            return Reply(b"Invalid API call.\n", 400)
        return Reply(PAGE, 404, {"Content-Type": "text/html"})

    def control(self, command: str, body: bytes) -> Reply | None:  # noqa: ARG002 - the protocol's
        return None

    def state(self) -> dict[str, Any]:
        counts = self._truth.counts
        refused = {"refused": self._refused}
        return {**asdict(counts), "expected_records": counts.expected_records, **refused}

    def distinct_rows_served(self) -> int:
        """Distinct rows of all answers that were sent whole, by the simulator's own reading."""
        return self._truth.counts.distinct_rows

    def _area(self, asked: tuple[str | None, ...], world_us: int, now_us: int) -> Reply:
        key, product, area, day_range, date = (part or "" for part in asked)
        if not self._is_known(key):
            return self._refuse("Invalid MAP_KEY.")
        box = parse_area(area)
        days = int(day_range) if re.fullmatch("[1-5]", day_range) else 0
        first_day = parse_date(date)
        wrong = [
            *(["Invalid source."] if product not in PRODUCTS else []),
            *([f"Invalid day range. Expects [1..{MAX_DAYS}]."] if not days else []),
            *(["Invalid area coordinate. Expects: [-180..180]."] if box is None else []),
            *(["Invalid API call."] if date and first_day is None else []),
        ]
        if wrong or box is None:
            return self._refuse("\n".join(wrong))
        if not self._quota.take(key, cost(product, box, days), now_us):
            self._count_refusal()
            return Reply(SPENT, self._quota_status)
        today = world_us // SECOND_US // DAY_S
        begin = first_day if first_day is not None else today - days + 1
        return self._rows(product, box, (begin, begin + days), world_us // SECOND_US)

    def _static(
        self, asked: tuple[str | None, ...], headers: Mapping[str, str], now_s: int
    ) -> Reply:
        folder, name, region, span = (part or "" for part in asked)
        expected_folder, product = STATIC.get(name, ("", ""))
        if folder != expected_folder or region not in REGIONS:
            return Reply(PAGE, 404, {"Content-Type": "text/html"})
        changed_s = max(self._world.changed_s(each, now_s) for each in PRODUCTS[product])
        stamp = {"Last-Modified": formatdate(changed_s, usegmt=True)}
        if _not_newer(headers.get("if-modified-since", ""), changed_s):
            return Reply(b"", 304, stamp)
        today = now_s // DAY_S
        days = (today - DAYS_BEFORE_TODAY[span], today + 1)
        return self._rows(product, REGIONS[region], days, now_s, stamp)

    def _rows(
        self,
        product: str,
        box: Box,
        days: tuple[int, int],
        now_s: int,
        stamp: Mapping[str, str] | None = None,
    ) -> Reply:
        """The rows of whole UTC days [first, last) in a box; with a stamp, as a static file."""
        first_s, last_s = days[0] * DAY_S, days[1] * DAY_S
        found = sorted(
            (
                (pixel, satellite)
                for satellite in PRODUCTS[product]
                for pixel in self._world.served(satellite, now_s)
                if first_s <= pixel.acquired_s < last_s and _is_in(pixel, box)
            ),
            key=lambda row: (row[0].acquired_s, row[0].latitude),
        )
        is_static = stamp is not None
        write: Callable[[Satellite, Pixel], str] = (
            firms_wire.static_row if is_static else firms_wire.api_row
        )
        first_line = firms_wire.header(PRODUCTS[product][0], is_static=is_static)
        body = firms_wire.document(first_line, (write(satellite, row) for row, satellite in found))
        return Reply(
            body, headers=stamp or {}, is_data=True, on_sent=lambda: self._truth.note(body)
        )

    def _availability(self, key: str, product: str, now_s: int) -> Reply:
        if not self._is_known(key):
            return self._refuse("Invalid MAP_KEY.")
        today = time.strftime("%Y-%m-%d", time.gmtime(now_s))
        first = time.strftime("%Y-%m-%d", time.gmtime(now_s - 60 * DAY_S))
        names = [name for name in sorted(PRODUCTS) if product in {"ALL", name}]
        rows = (f"{name},{first},{today}" for name in names)
        return Reply(firms_wire.document("data_id,min_date,max_date", rows))

    def _key_status(self, key: str, now_us: int) -> Reply:
        spent = self._quota.spent(key, now_us) if self._is_known(key) else math.inf
        if spent >= firms_quota.LIMIT:
            return Reply(SPENT, 400)
        return json_reply(
            {
                "transaction_limit": firms_quota.LIMIT,
                "current_transactions": math.ceil(spent),
                "transaction_interval": "10 minutes",
            }
        )

    def _is_known(self, key: str) -> bool:
        return bool(key) if self._map_keys is None else key in self._map_keys

    def _refuse(self, text: str) -> Reply:
        self._count_refusal()
        return Reply(text.encode() + b"\n", 400)

    def _count_refusal(self) -> None:
        with self._lock:
            self._refused += 1


def parse_area(area: str) -> Box | None:
    """`world` or `west,south,east,north`; None where it is neither."""
    if area == "world":
        return WORLD
    try:
        west, south, east, north = (float(part) for part in area.split(","))
    except ValueError:
        return None
    inside = -180 <= west < east <= 180 and -90 <= south < north <= 90  # noqa: PLR2004 - degrees
    return (west, south, east, north) if inside else None


def parse_date(text: str) -> int | None:
    """Days since the epoch of YYYY-MM-DD."""
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%d")) // DAY_S
    except ValueError:
        return None


def cost(product: str, box: Box, days: int) -> float:
    """Units of the quota, by the formula of the API's own page."""
    tiles = math.ceil((box[2] - box[0]) / 60) * math.ceil((box[3] - box[1]) / 60)
    return tiles * (0.5 if product.startswith("MODIS") else 2.0) * days


def _is_in(pixel: Pixel, box: Box) -> bool:
    return box[0] <= pixel.longitude <= box[2] and box[1] <= pixel.latitude <= box[3]


def _not_newer(if_modified_since: str, changed_s: int) -> bool:
    try:
        return parsedate_to_datetime(if_modified_since).timestamp() >= changed_s
    except (ValueError, TypeError):
        return False
