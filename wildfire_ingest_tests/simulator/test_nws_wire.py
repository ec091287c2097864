"""What the simulated NWS writes is what its format says, by a reader that has no code of it."""

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings

START_US = 1_786_795_200_000_000
HEADERS = {"user-agent": "tests (ops@example.invalid)", "host": "127.0.0.1"}
UNITS = {
    "temperature": {"degC", "degF"},
    "dewpoint": {"degC", "degF"},
    "windDirection": {"degree_(angle)"},
    "windSpeed": {"km_h-1", "m_s-1"},
    "windGust": {"km_h-1", "m_s-1"},
    "barometricPressure": {"Pa"},
    "visibility": {"m"},
    "relativeHumidity": {"percent"},
    "precipitationLast3Hours": {"mm", "m"},
}
VTEC = re.compile(
    r"/O\.(NEW|CON|EXT|CAN)\.K[A-Z]{3}\.[A-Z]{2}\.[WAY]\.\d{4}"
    r"\.(\d{6}T\d{4}Z)-(\d{6}T\d{4}Z)/"
)


class Point(msgspec.Struct, tag="Point", forbid_unknown_fields=True):
    coordinates: tuple[float, float]


class Polygon(msgspec.Struct, tag="Polygon", forbid_unknown_fields=True):
    coordinates: list[list[tuple[float, float]]]


class Quantity(msgspec.Struct, forbid_unknown_fields=True):
    unitCode: str  # noqa: N815 - the format's word
    value: float | None
    qualityControl: str | None = None  # noqa: N815 - the format's word


class Measured(msgspec.Struct):
    station: str
    stationId: str  # noqa: N815 - the format's word
    timestamp: datetime
    temperature: Quantity
    dewpoint: Quantity
    windDirection: Quantity  # noqa: N815 - the format's word
    windSpeed: Quantity  # noqa: N815 - the format's word
    windGust: Quantity  # noqa: N815 - the format's word
    barometricPressure: Quantity  # noqa: N815 - the format's word
    visibility: Quantity
    relativeHumidity: Quantity  # noqa: N815 - the format's word
    precipitationLast3Hours: Quantity  # noqa: N815 - the format's word


class ObservationFeature(msgspec.Struct, tag="Feature", forbid_unknown_fields=True):
    id: str
    geometry: Point
    properties: Measured


class Observations(msgspec.Struct, tag="FeatureCollection"):
    features: list[ObservationFeature]


class Reference(msgspec.Struct, forbid_unknown_fields=True):
    url: str = msgspec.field(name="@id")
    identifier: str
    sender: str
    sent: datetime


class Told(msgspec.Struct):
    id: str
    event: str
    sent: datetime
    effective: datetime
    onset: datetime
    expires: datetime
    ends: datetime | None
    status: Literal["Actual"]
    messageType: Literal["Alert", "Update", "Cancel"]  # noqa: N815 - the format's word
    severity: Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
    certainty: Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
    urgency: Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
    references: list[Reference]
    affectedZones: list[str]  # noqa: N815 - the format's word
    geocode: dict[Literal["SAME", "UGC"], list[str]]
    parameters: dict[str, list[str]]


class AlertFeature(msgspec.Struct, tag="Feature", forbid_unknown_fields=True):
    id: str
    geometry: Polygon | None
    properties: Told


class Alerts(msgspec.Struct, tag="FeatureCollection"):
    features: list[AlertFeature]
    updated: datetime


def answer(kind, path, *, after_s=600, **world):
    site = NwsSimulator(NwsWorldSettings(**world), START_US)
    reply = site.answer(path, HEADERS, START_US + after_s * SECOND_US)
    assert reply.status == 200
    return msgspec.json.decode(reply.body, type=kind)


def observations(**world):
    site = NwsSimulator(NwsWorldSettings(**world), START_US)
    return [
        feature
        for station in site.stations
        for feature in answer(
            Observations, f"/stations/{station.id}/observations", **world
        ).features
    ]


def test_every_observation_is_whole_and_stands_in_its_station_and_time():
    found = observations()

    assert len(found) > 500
    for feature in found:
        measured = feature.properties
        stamp = measured.timestamp.astimezone(UTC).isoformat()
        assert feature.id == f"{measured.station}/observations/{stamp}"
        assert measured.station.endswith(f"/stations/{measured.stationId}")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_every_quantity_has_a_unit_of_its_dimension_old_or_new(share):
    prefixes = set()
    for feature in observations(old_units_share=share):
        for name, units in UNITS.items():
            prefix, _, unit = getattr(feature.properties, name).unitCode.partition(":")
            assert unit in units
            prefixes.add(prefix)

    assert prefixes == ({"wmoUnit"} if share == 0.0 else {"wmoUnit", "unit"})


def test_old_units_say_the_same_weather():
    new, old = (
        {feature.id: feature.properties for feature in observations(old_units_share=share)}
        for share in (0.0, 1.0)
    )

    factor = {"wmoUnit:km_h-1": 1 / 3.6, "unit:m_s-1": 1.0}
    speeds = [
        (one.windSpeed, old[key].windSpeed) for key, one in new.items() if one.windSpeed.value
    ]
    assert any(later.unitCode == "unit:m_s-1" for _, later in speeds)
    for before, later in speeds:
        expected = before.value * factor[before.unitCode]
        assert later.value * factor[later.unitCode] == pytest.approx(expected)


def test_readings_are_missing_and_flagged_as_in_reality():
    found = [feature.properties for feature in observations()]
    flags = {one.temperature.qualityControl for one in found} | {
        one.windSpeed.qualityControl for one in found
    }

    assert {"V", "S", "C", "Z"} <= {(flag or "").removeprefix("qc:") for flag in flags}
    assert any(one.temperature.value is None for one in found)
    assert sum(one.windGust.value is None for one in found) > len(found) / 3
    assert all(0 <= (one.relativeHumidity.value or 0) <= 100 for one in found)


def test_every_alert_is_whole_and_its_times_are_in_order():
    found = answer(Alerts, "/alerts/active", events_per_minute=60).features

    assert len(found) > 100
    for feature in found:
        told = feature.properties
        assert feature.id == f"https://api.weather.gov/alerts/{told.id}"
        assert told.sent < told.expires
        assert told.ends is None or told.expires <= told.ends
        assert all(reference.sent < told.sent for reference in told.references)
        assert [zone.rpartition("/")[2] for zone in told.affectedZones] == told.geocode["UGC"]


def test_vtec_says_what_the_message_does_and_names_one_event_through_its_life():
    told = [
        feature.properties for feature in answer(Alerts, "/alerts", events_per_minute=20).features
    ]
    by_id = {one.id: one for one in told}
    actions = {"Alert": {"NEW"}, "Update": {"CON", "EXT"}, "Cancel": {"CAN"}}

    with_vtec = [one for one in told if "VTEC" in one.parameters]
    assert len(told) > len(with_vtec) > 100
    for one in with_vtec:
        (text,) = one.parameters["VTEC"]
        match = VTEC.fullmatch(text)
        assert match is not None
        assert match[1] in actions[one.messageType]
        for reference in one.references:
            before = by_id.get(reference.identifier)
            if before is not None:
                assert before.parameters["VTEC"][0].split(".")[2:6] == text.split(".")[2:6]


def test_most_alerts_have_zones_only_and_a_polygon_is_a_closed_ring():
    found = answer(Alerts, "/alerts", events_per_minute=60).features
    rings = [feature.geometry.coordinates[0] for feature in found if feature.geometry]

    assert 0.02 < len(rings) / len(found) < 0.25
    assert all(ring[0] == ring[-1] and len(ring) >= 4 for ring in rings)
