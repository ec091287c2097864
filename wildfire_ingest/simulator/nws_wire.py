"""How the NWS writes stations, observations, alerts and problems: GeoJSON with its own words.

Features are written once and kept; a list is put together from them.  Times are seconds since
the epoch, UTC; readings come in the world's units and leave in the station's.
Source: https://api.weather.gov/openapi.json.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from wildfire_ingest.simulator.nws_events import Alert
from wildfire_ingest.simulator.nws_places import State, Station, Units
from wildfire_ingest.simulator.nws_world import Observation, Reading

API = "https://api.weather.gov"
GEOJSON = "application/geo+json"
PROBLEM = "application/problem+json"
SENDER = "simulated@example.invalid"

_CONTEXT = [
    "https://geojson.org/geojson-ld/geojson-context.jsonld",
    {"@version": "1.1", "wx": f"{API}/ontology#", "@vocab": f"{API}/ontology#"},
]
DIMENSIONS = {
    "temperature": "degC",
    "dewpoint": "degC",
    "windDirection": "degree",
    "windSpeed": "speed",
    "windGust": "speed",
    "barometricPressure": "Pa",
    "seaLevelPressure": "Pa",
    "visibility": "m",
    "maxTemperatureLast24Hours": "degC",
    "minTemperatureLast24Hours": "degC",
    "precipitationLastHour": "rain",
    "precipitationLast3Hours": "rain",
    "precipitationLast6Hours": "rain",
    "relativeHumidity": "percent",
    "windChill": "degC",
    "heatIndex": "degC",
}
_Unit = tuple[str, Callable[[float], float]]


def _same(value: float) -> float:
    return value


_WMO: dict[str, _Unit] = {
    "degC": ("wmoUnit:degC", _same),
    "degree": ("wmoUnit:degree_(angle)", _same),
    "speed": ("wmoUnit:km_h-1", _same),
    "Pa": ("wmoUnit:Pa", _same),
    "m": ("wmoUnit:m", _same),
    "rain": ("wmoUnit:mm", _same),
    "percent": ("wmoUnit:percent", _same),
}
_UNITS: dict[Units, dict[str, _Unit]] = {
    "wmo": _WMO,
    "fahrenheit": {**_WMO, "degC": ("wmoUnit:degF", lambda degc: degc * 1.8 + 32)},
    "old": {
        "degC": ("unit:degC", _same),
        "degree": ("unit:degree_(angle)", _same),
        "speed": ("unit:m_s-1", lambda km_h: km_h / 3.6),
        "Pa": ("unit:Pa", _same),
        "m": ("unit:m", _same),
        "rain": ("unit:m", lambda mm: mm / 1000),
        "percent": ("unit:percent", _same),
    },
}
"""Of a station, for each dimension: its unitCode, and the number in it."""


def iso(at_s: int) -> str:
    """2026-05-14T16:25:00+00:00."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at_s))


def station_url(station: Station) -> str:
    """The station's name in the API, on whatever host it is served."""
    return f"{API}/stations/{station.id}"


@lru_cache(maxsize=4096)
def station_feature(station: Station) -> bytes:
    """A station as /stations lists it."""
    properties = {
        "@id": station_url(station),
        "@type": "wx:ObservationStation",
        "elevation": {"unitCode": "wmoUnit:m", "value": station.elevation_m},
        "stationIdentifier": station.id,
        "name": station.name,
        "timeZone": station.state.time_zone,
        "provider": {"airport": "ASOS", "raws": "RAWS", "citizen": "APRSWXNET"}[station.kind],
        "subProvider": "",
        "forecast": f"{API}/zones/forecast/{station.zone}",
        "county": f"{API}/zones/county/{station.county}",
        "fireWeatherZone": f"{API}/zones/fire/{station.zone}",
    }
    return _feature(station_url(station), _point(station), properties)


def point_feature(state: State, latitude: float, longitude: float) -> bytes:
    """What /points says of a place, as far as a client of stations needs it."""
    url = f"{API}/points/{latitude:g},{longitude:g}"
    grid = f"{API}/gridpoints/{state.office}/1,1"
    properties = {
        "@id": url,
        "@type": "wx:Point",
        "cwa": state.office,
        "type": "land",
        "gridId": state.office,
        "gridX": 1,
        "gridY": 1,
        "observationStations": f"{grid}/stations",
        "forecastZone": f"{API}/zones/forecast/{state.code}Z001",
        "county": f"{API}/zones/county/{state.code}C001",
        "fireWeatherZone": f"{API}/zones/fire/{state.code}Z001",
        "timeZone": state.time_zone,
    }
    return _feature(url, {"type": "Point", "coordinates": [longitude, latitude]}, properties)


@lru_cache(maxsize=16_384)
def observation_feature(observation: Observation) -> bytes:
    """One observation."""
    station, units = observation.station, _UNITS[observation.station.units]
    url = f"{station_url(station)}/observations/{iso(observation.at_s)}"
    is_old = station.units == "old"
    quantities = {
        name: _quantity(reading, units[DIMENSIONS[name]], is_old=is_old)
        for name, reading in observation.readings.items()
    }
    properties: dict[str, object] = {
        "@id": url,
        "@type": "wx:ObservationStation",
        "elevation": {"unitCode": units["m"][0], "value": station.elevation_m},
        "station": station_url(station),
        "stationId": station.id,
        "stationName": station.name,
        "timestamp": iso(observation.at_s),
        "rawMessage": _metar(observation) if station.kind == "airport" else "",
        "textDescription": "Clear" if station.kind == "airport" else "",
        "icon": None,
        "presentWeather": [],
        **quantities,
        "cloudLayers": [],
    }
    return _feature(url, _point(station), properties)


def _quantity(reading: Reading, unit: _Unit, *, is_old: bool) -> dict[str, object]:
    code, convert = unit
    value = None if reading.value is None else convert(reading.value)
    quantity: dict[str, object] = {"unitCode": code, "value": value}
    if reading.flag is not None:
        quantity["qualityControl"] = f"qc:{reading.flag}" if is_old else reading.flag
    return quantity


def _metar(observation: Observation) -> str:
    at = time.strftime("%d%H%MZ", time.gmtime(observation.at_s))
    return f"{observation.station.id} {at} AUTO 10SM CLR RMK AO2"


@lru_cache(maxsize=16_384)
def alert_feature(alert: Alert) -> bytes:
    """One alert message."""
    url = f"{API}/alerts/{alert.id}"
    geometry = {"type": "Polygon", "coordinates": [alert.polygon]} if alert.polygon else None
    return _feature(url, geometry, {"@id": url, "@type": "wx:Alert", **_alert(alert)})


def _alert(alert: Alert) -> dict[str, object]:
    hazard, state = alert.hazard, alert.state
    office = f"NWS {state.city} {state.code}"
    zones = [f"{API}/zones/{hazard.zone_type}/{code}" for code in alert.ugc]
    return {
        "id": alert.id,
        "areaDesc": "; ".join(f"Simulated area {code}" for code in alert.ugc),
        "geocode": {"SAME": [f"0{state.fips}{code[3:]}" for code in alert.ugc], "UGC": alert.ugc},
        "affectedZones": zones,
        "references": [_reference(*reference) for reference in alert.references],
        "sent": iso(alert.sent_s),
        "effective": iso(alert.sent_s),
        "onset": iso(alert.begins_s),
        "expires": iso(alert.expires_s),
        "ends": None if alert.ends_s is None else iso(alert.ends_s),
        "status": "Actual",
        "messageType": alert.message_type,
        "category": "Met",
        "severity": alert.severity,
        "certainty": hazard.certainty,
        "urgency": urgency(alert),
        "event": hazard.event,
        "sender": SENDER,
        "senderName": office,
        "headline": f"{hazard.event} issued {iso(alert.sent_s)} by {office}",
        "description": f"A simulated {hazard.event}.\n\n* WHERE...{', '.join(alert.ugc)}.",
        "instruction": None if alert.message_type == "Cancel" else "None: this is a simulation.",
        "response": "AllClear" if alert.message_type == "Cancel" else "Prepare",
        "note": None,
        "parameters": _parameters(alert),
        "scope": "Public",
        "code": "IPAWSv1.0",
        "language": "en-US",
        "web": "http://www.weather.gov",
        "eventCode": {"SAME": ["NWS"], "NationalWeatherService": [_code(alert)]},
    }


def urgency(alert: Alert) -> str:
    """A cancelled hazard is over."""
    return "Past" if alert.message_type == "Cancel" else alert.hazard.urgency


def _reference(identifier: str, sent_s: int) -> dict[str, str]:
    url = f"{API}/alerts/{identifier}"
    return {"@id": url, "identifier": identifier, "sender": SENDER, "sent": iso(sent_s)}


def _parameters(alert: Alert) -> dict[str, list[str]]:
    parameters = {
        "AWIPSidentifier": [f"{_code(alert)}{alert.state.office}"],
        "NWSheadline": [f"{alert.hazard.event.upper()} FOR {' '.join(alert.ugc)}"],
        "BLOCKCHANNEL": ["EAS", "NWEM", "CMAS"],
    }
    if alert.hazard.vtec is not None:
        parameters["VTEC"] = [vtec(alert, alert.hazard.vtec)]
    if alert.ends_s is not None:
        parameters["eventEndingTime"] = [iso(alert.ends_s)]
    return parameters


def _code(alert: Alert) -> str:
    return (alert.hazard.vtec or "SP.S").replace(".", "")


def vtec(alert: Alert, phenomenon: str) -> str:
    """/O.NEW.KSTO.FW.W.0007.260514T1800Z-260514T2200Z/; zeros for a time that is not told."""
    begins = _vtec_time(alert.begins_s if alert.action == "NEW" else None)
    return (
        f"/O.{alert.action}.K{alert.state.office}.{phenomenon}.{alert.tracking_number:04d}"
        f".{begins}-{_vtec_time(alert.ends_s)}/"
    )


def _vtec_time(at_s: int | None) -> str:
    return "000000T0000Z" if at_s is None else time.strftime("%y%m%dT%H%MZ", time.gmtime(at_s))


def collection(features: Iterable[bytes], **others: object) -> bytes:
    """A FeatureCollection of features that are JSON already, with keys behind them."""
    head = _encode({"@context": _CONTEXT, "type": "FeatureCollection"})[:-1]
    tail = _encode(others)[1:]
    comma = b"," if others else b""
    return b"".join((head, b',"features":[', b",".join(features), b"]", comma, tail))


def single(feature: bytes) -> bytes:
    """A feature that is a whole answer."""
    return b'{"@context":' + _encode(_CONTEXT) + b"," + feature[1:]


def problem(kind: str, title: str, status: int, detail: str, **others: object) -> bytes:
    """application/problem+json; its correlation id is made of what it says."""
    correlation_id = correlation(f"{kind}{status}{detail}".encode())
    return _encode(
        {
            "correlationId": correlation_id,
            **others,
            "title": title,
            "type": f"{API}/problems/{kind}",
            "status": status,
            "detail": detail,
            "instance": f"{API}/requests/{correlation_id}",
        }
    )


def correlation(text: bytes) -> str:
    """Eight digits, hexadecimal."""
    return f"{zlib.crc32(text):08x}"


def _point(station: Station) -> dict[str, object]:
    return {"type": "Point", "coordinates": [station.longitude, station.latitude]}


def _feature(url: str, geometry: object, properties: Mapping[str, object]) -> bytes:
    return _encode({"id": url, "type": "Feature", "geometry": geometry, "properties": properties})


_encode = msgspec.json.encode
