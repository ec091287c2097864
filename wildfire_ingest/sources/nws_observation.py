"""Which record or reject one feature of an NWS observation answer is.

Pure.  Station and timestamp identify an observation, so a row without one of them is rejected,
and so is a row in which some value is of another JSON type: the API has changed then, and a
person should see it.  A value whose unit is not known is left out and noted, its neighbours stay:
nobody wants to lose a wind for a new spelling of a pressure, and a number without unit is none.
Values that failed the quality control are kept with their flag: what to trust is for the reader
to say.  An observation without any value is a record as well (its METAR may say what the API did
not read, and values filled in later become its revisions), unless only some measurements are
wanted and it has none of them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wildfire_ingest.record import Record, Reject
from wildfire_ingest.sources.nws_units import LARGEST, Kind, converted
from wildfire_ingest.sources.utc_time import read_time
from wildfire_ingest.sources.weather_observation import (
    MEASUREMENTS,
    Measurement,
    WeatherObservation,
)

MAX_ROW_BYTES = 65_536
"""A real feature has 4,000; of a longer one so much is kept as its raw text."""

STATION = re.compile(r"[A-Za-z0-9_-]{2,24}", re.ASCII)

_FLAG = re.compile(r"[A-Za-z]{1,8}")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which measurements to keep, and what was left out of them meanwhile."""

    measurements: tuple[Measurement, ...] = MEASUREMENTS
    all_rows: bool = True
    """Also the observations in which none of them has a value."""
    unknown_units: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(name, unitCode) -> values left out."""


class _Quantity(msgspec.Struct, frozen=True, rename="camel"):
    value: float | None = None
    unit_code: str | None = None
    quality_control: str | None = None


class _Weather(msgspec.Struct, frozen=True, rename="camel"):
    raw_string: str | None = None


class _Geometry(msgspec.Struct, frozen=True):
    type: str = ""
    coordinates: msgspec.Raw = msgspec.Raw(b"[]")


class _Feature(msgspec.Struct, frozen=True):
    properties: dict[str, msgspec.Raw]
    geometry: _Geometry | None = None


_feature = msgspec.json.Decoder(_Feature).decode
_quantity = msgspec.json.Decoder(_Quantity | None).decode
_text = msgspec.json.Decoder(str | None).decode
_weather = msgspec.json.Decoder(list[_Weather] | None).decode
_numbers = msgspec.json.Decoder(list[float]).decode


class _BadRow(Exception):
    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class


def read_observation(raw: bytes, wanted: Wanted) -> Record | Reject | None:
    """One feature; None for an observation that has nothing of what is wanted."""
    if len(raw) > MAX_ROW_BYTES:
        reason = (
            f"a row of {len(raw):,} bytes: expected about 4,000; the first {MAX_ROW_BYTES:,} kept"
        )
        return Reject(raw[:MAX_ROW_BYTES], reason, "oversized_row")
    try:
        feature = _feature(raw)
        return _record(_Properties(feature.properties), feature.geometry, wanted)
    except _BadRow as bad:
        return Reject(raw, str(bad), bad.error_class)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return Reject(raw, f"no observation as the API describes it: {error}", "bad_shape")


class _Properties:
    """The properties of a feature, each read as what it should be."""

    def __init__(self, found: dict[str, msgspec.Raw]) -> None:
        self._found = found

    def text(self, name: str) -> str | None:
        return self._read(name, _text) or None

    def quantity(self, name: str) -> _Quantity | None:
        found: _Quantity | None = self._read(name, _quantity)
        return found

    def codes(self, name: str) -> str | None:
        found: list[_Weather] = self._read(name, _weather) or []
        return " ".join(one.raw_string for one in found if one.raw_string) or None

    def _read(self, name: str, decode: Any) -> Any:
        raw = self._found.get(name)
        if raw is None:
            return None
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise _BadRow("bad_shape", f"{name}: {error}") from None


def _record(found: _Properties, geometry: _Geometry | None, wanted: Wanted) -> Record | None:
    station, at_s = _station(found), _observed_at_s(found)
    values = _values(found, wanted)
    if not values and not wanted.all_rows:
        return None
    elevation = found.quantity("elevation")
    body = WeatherObservation(
        station_id=station,
        station_name=found.text("stationName"),
        elevation_m=_value(elevation, "elevation", "length", wanted),
        present_weather=found.codes("presentWeather"),
        text_description=found.text("textDescription"),
        raw_message=found.text("rawMessage"),
        **_place(geometry),
        **values,
    )
    return Record(f"{station}|{at_s}".encode(), at_s, station.encode(), body)


def _values(found: _Properties, wanted: Wanted) -> dict[str, Any]:
    """The fields of the wanted measurements that have a value."""
    values: dict[str, Any] = {}
    for measurement in wanted.measurements:
        quantity = found.quantity(measurement.name)
        value = _value(quantity, measurement.name, measurement.kind, wanted)
        if quantity is not None and value is not None:
            values[measurement.field] = value
            values[measurement.flag] = _flag(quantity.quality_control)
    return values


def _value(quantity: _Quantity | None, name: str, kind: Kind, wanted: Wanted) -> float | None:
    if quantity is None or quantity.value is None:
        return None
    if abs(quantity.value) > LARGEST:
        raise _BadRow(
            "out_of_range", f"{name}: found {quantity.value:g}; expected a measured value"
        )
    value = converted(quantity.value, quantity.unit_code, kind)
    if value is None:
        wanted.unknown_units[name, (quantity.unit_code or "none")[:_SHOWN]] += 1
    return value


def _flag(found: str | None) -> str | None:
    """Without its earlier prefix `qc:`; what is no flag is none."""
    flag = (found or "").removeprefix("qc:")
    return flag if _FLAG.fullmatch(flag) else None


def _place(geometry: _Geometry | None) -> dict[str, Any]:
    if geometry is None or geometry.type != "Point":
        return {}
    try:
        longitude, latitude, *_ = _numbers(geometry.coordinates)
    except (msgspec.DecodeError, ValueError):
        raise _BadRow("bad_place", "coordinates: expected longitude and latitude") from None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):  # noqa: PLR2004 - degrees
        raise _BadRow(
            "bad_place", f"coordinates {longitude:g}, {latitude:g}: expected degrees WGS 84"
        )
    return {"longitude": longitude + 0.0, "latitude": latitude + 0.0}


def _station(found: _Properties) -> str:
    """The last part of the station's address; `stationId`, which came later, says the same."""
    station = (found.text("station") or found.text("stationId") or "").rpartition("/")[2]
    if not STATION.fullmatch(station):
        raise _BadRow(
            "bad_station",
            f"station {station[:_SHOWN]!r}: expected its address, ending with an id like KSAC",
        )
    return station


def _observed_at_s(found: _Properties) -> int:
    text = found.text("timestamp") or ""
    at = read_time(text)
    if at is None:
        raise _BadRow(
            "bad_time",
            f"timestamp {text[:_SHOWN]!r}: expected like 2026-03-04T08:00:00+00:00",
        )
    return int(at.timestamp())
