"""What one row of a FIRMS CSV says, read with care: a detection, or the reason why it is none.

Pure.  This is the reading that explains; firms_csv has the short cut for rows without blemish,
which gives the same records.  Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import csv
import re
import struct
from dataclasses import dataclass
from datetime import date
from typing import cast

from h3.api.basic_int import latlng_to_cell

from wildfire_ingest.record import Record
from wildfire_ingest.sources.fire_detection import (
    CONFIDENCES,
    SATELLITES,
    DayNight,
    Family,
    FireDetection,
)
from wildfire_ingest.sources.firms_layout import Layout

CELL_RESOLUTION = 5
"""H3 cells of about 250 km2: a fire and its neighbours share a partition."""

LOWEST_K, HIGHEST_K = 100.0, 2000.0
LARGEST_PIXEL_KM = 100.0
LOWEST_MW, HIGHEST_MW = -900.0, 1_000_000.0
"""Subtracting the background can leave a little below zero; -999 and -9999 are fill values."""
FIRST_YEAR, LAST_YEAR = 1999, 2100

_PLACE = struct.Struct("<dd").pack
_EPOCH = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(rb"-?(\d+\.?\d*|\.\d+)([eE]-?\d{1,3})?")
_DATE = re.compile(rb"(\d{4})-(\d{2})-(\d{2})")
_TIME = re.compile(rb"\d{1,4}")
_VERSION = re.compile(rb"[0-9A-Za-z.]{1,16}")


class BadRow(ValueError):
    """One row cannot be a record."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Moment:
    """What all rows of one satellite and minute share."""

    observed_at_s: int
    satellite: str
    key_prefix: bytes


def shown(cell: bytes) -> str:
    """A cell for a message: short, and printable whatever its bytes."""
    text = cell[:40].decode("utf-8", "backslashreplace")
    return repr(text + "…" if len(cell) > 40 else text)  # noqa: PLR2004 - one line of a message


def moment(family: Family, day: bytes, minute: bytes, satellite: bytes) -> Moment:
    """Satellite and scan time of a row.  `minute` is hhmm, its leading zeros cut by the API."""
    name = SATELLITES[family].get(satellite)
    if name is None:
        known = ", ".join(code.decode() for code in SATELLITES[family])
        raise BadRow(
            "unknown_satellite", f"satellite {shown(satellite)}: expected one of {known} ({family})"
        )
    if not _TIME.fullmatch(minute):
        raise BadRow("bad_time", f"acq_time {shown(minute)}: expected hhmm")
    padded = minute.zfill(4)
    hour, minutes = divmod(int(padded), 100)
    if hour > 23 or minutes > 59:  # noqa: PLR2004 - a clock's limits
        raise BadRow("bad_time", f"acq_time {shown(minute)}: expected 0000..2359")
    return Moment(
        observed_at_s=_days(day) * 86_400 + hour * 3600 + minutes * 60,
        satellite=name,
        key_prefix=b"|".join((family.encode(), name.encode(), day, padded)),
    )


def _days(day: bytes) -> int:
    """Days since 1970-01-01 of an acq_date."""
    found = _DATE.fullmatch(day)
    if not found:
        raise BadRow("bad_date", f"acq_date {shown(day)}: expected YYYY-MM-DD")
    year, month, day_of_month = (int(part) for part in found.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadRow(
            "bad_date", f"acq_date {shown(day)}: expected a year {FIRST_YEAR}..{LAST_YEAR}"
        )
    try:
        return date(year, month, day_of_month).toordinal() - _EPOCH
    except ValueError:
        raise BadRow("bad_date", f"acq_date {shown(day)}: no such day") from None


def version(cell: bytes) -> str:
    """Collection and processing level: 2.0NRT, 6.1NRT, 61.03."""
    if not _VERSION.fullmatch(cell):
        raise BadRow("bad_version", f"version {shown(cell)}: expected like 2.0NRT")
    return cell.decode()


def make_record(at: Moment, latitude: float, longitude: float, body: FireDetection) -> Record:
    """A record with the keys of its place and time.

    The place is the number, not its text: `38.10`, `38.1` and `38.10000` are one place in every
    feed, and five decimals are far from where two texts could be one double.
    """
    return Record(
        at.key_prefix + b"|" + _PLACE(latitude, longitude),
        at.observed_at_s,
        b"%x" % latlng_to_cell(latitude, longitude, CELL_RESOLUTION),
        body,
    )


def _number(name: str, cell: bytes, low: float, high: float) -> float:
    if not _NUMBER.fullmatch(cell):
        raise BadRow("bad_number", f"{name} {shown(cell)}: expected a decimal number")
    value = float(cell)
    if not low <= value <= high:
        raise BadRow("out_of_range", f"{name} {shown(cell)}: expected {low:g}..{high:g}")
    return value


def _optional(name: str, cell: bytes, low: float, high: float) -> float | None:
    """An empty cell is no value; it is not 0."""
    return _number(name, cell, low, high) if cell else None


def cells_of(line: bytes) -> list[bytes]:
    """The cells of a line; quotes, which FIRMS does not use today, are understood."""
    if b'"' not in line:
        return line.split(b",")
    try:
        row = next(csv.reader([line.decode("latin-1")], strict=True))
    except (csv.Error, StopIteration):
        raise BadRow("bad_quoting", "a quote that does not end on its row") from None
    return [cell.encode("latin-1") for cell in row]


def read_row(form: Layout, line: bytes) -> Record:
    """One row without its line end.  Raises BadRow with what was found and what was expected."""
    cells = cells_of(line)
    if len(cells) != form.columns:
        raise BadRow("ragged_row", f"{len(cells)} columns: expected {form.columns}")
    picked = [cells[position] for position in form.positions]
    lat, lon, bright, bright2, scan, track, frp, day, minute, sat, conf, ver, daynight = picked
    if form.instrument is not None and cells[form.instrument] != form.family.encode():
        raise BadRow(
            "bad_instrument",
            f"instrument {shown(cells[form.instrument])}: expected {form.family}",
        )
    at = moment(form.family, day, minute, sat)
    confidence = CONFIDENCES[form.family].get(conf)
    if confidence is None:
        expected = "0..100" if form.family == "MODIS" else "low, nominal, high or l, n, h"
        raise BadRow("unknown_confidence", f"confidence {shown(conf)}: expected {expected}")
    if daynight not in {b"D", b"N", b""}:
        raise BadRow("bad_daynight", f"daynight {shown(daynight)}: expected D or N")
    latitude = _number("latitude", lat, -90.0, 90.0) + 0.0  # -0.0 becomes 0.0
    longitude = _number("longitude", lon, -180.0, 180.0) + 0.0
    body = FireDetection(
        latitude=latitude,
        longitude=longitude,
        satellite=at.satellite,
        instrument=form.family,
        confidence=confidence[0],
        confidence_percent=confidence[1],
        brightness_k=_optional("brightness", bright, LOWEST_K, HIGHEST_K),
        brightness_t31_k=_optional("second brightness", bright2, LOWEST_K, HIGHEST_K),
        scan_km=_optional("scan", scan, 0.0, LARGEST_PIXEL_KM),
        track_km=_optional("track", track, 0.0, LARGEST_PIXEL_KM),
        frp_mw=_optional("frp", frp, LOWEST_MW, HIGHEST_MW),
        daynight=cast("DayNight", daynight.decode()) if daynight else None,
        version=version(ver) if ver else None,
    )
    return make_record(at, latitude, longitude, body)
