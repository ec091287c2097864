"""Observation answers of NWS for tests, as its API has them."""

from __future__ import annotations

import json
from typing import Any

HOUR_US = 3_600_000_000


def quantity(value: float | None, unit: str = "degC", flag: str | None = "V") -> dict[str, Any]:
    found: dict[str, Any] = {"unitCode": f"wmoUnit:{unit}", "value": value}
    return found | ({"qualityControl": flag} if flag else {})


def feature(
    station: str = "KSAC", at: str = "2026-08-15T12:53:00+00:00", /, **properties: Any
) -> Any:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-121.5, 38.51]},
        "properties": {
            "elevation": quantity(6, "m", None),
            "station": f"https://api.weather.gov/stations/{station}",
            "timestamp": at,
            "rawMessage": "",
            "textDescription": "",
            "presentWeather": [],
            "temperature": quantity(30.5),
            **properties,
        },
    }


def collection(*features: Any, next_url: str | None = None) -> bytes:
    found: dict[str, Any] = {"type": "FeatureCollection", "features": list(features)}
    return json.dumps(found | ({"pagination": {"next": next_url}} if next_url else {})).encode()


def problem(name: str, status: int) -> bytes:
    kind = f"https://api.weather.gov/problems/{name}"
    return json.dumps({"correlationId": "5316761a", "type": kind, "status": status}).encode()


def station_list(*names: str, next_url: str | None = None) -> bytes:
    rows = ({"type": "Feature", "properties": {"stationIdentifier": name}} for name in names)
    return collection(*rows, next_url=next_url)
