"""One feature is one record, or a reject that says why; nothing is guessed."""

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.record import Record, Reject
from wildfire_ingest.sources.nws_observation import MAX_ROW_BYTES, Wanted, read_observation
from wildfire_ingest.sources.schema import json_schema
from wildfire_ingest.sources.weather_observation import MEASUREMENTS, WeatherObservation, chosen
from wildfire_ingest_tests.sources.nws import feature, quantity


def read(found, wanted=None):
    return read_observation(json.dumps(found).encode(), wanted or Wanted())


def body(**properties):
    row = read(feature(**properties))
    assert isinstance(row, Record), row
    return row.body


def test_an_observation_is_known_by_station_and_second():
    row = read(feature("KSAC", "2026-08-15T12:53:00.5+00:00"))
    same = read(feature("KSAC", "2026-08-15T05:53:00-07:00", temperature=quantity(1)))

    assert row.natural_key == same.natural_key == b"KSAC|1786798380"
    assert (row.observed_at_s, row.partition_key) == (1786798380, b"KSAC")


def test_place_elevation_and_texts_are_kept():
    found = body(
        rawMessage="KSAC 151253Z",
        textDescription="Smoke",
        stationName="Sacramento",
        presentWeather=[{"rawString": "FU"}, {"rawString": None}, {"rawString": "HZ"}],
    )

    assert (found.latitude, found.longitude, found.elevation_m) == (38.51, -121.5, 6)
    assert (found.raw_message, found.text_description) == ("KSAC 151253Z", "Smoke")
    assert (found.station_name, found.present_weather) == ("Sacramento", "FU HZ")


def test_an_empty_text_is_absent():
    found = msgspec.to_builtins(body())

    assert not {"raw_message", "text_description", "present_weather"} & found.keys()


@pytest.mark.parametrize("flag", ["Z", "C", "S", "V", "X", "Q", "G", "B", "T"])
@pytest.mark.parametrize("prefix", ["", "qc:"])
def test_a_value_is_kept_whatever_its_flag_says(prefix, flag):
    found = body(temperature=quantity(31, flag=prefix + flag))

    assert (found.air_temperature_c, found.air_temperature_qc) == (31, flag)


def test_a_null_is_no_value_and_its_flag_says_nothing():
    found = body(temperature=quantity(None, flag="V"), dewpoint=quantity(0))

    assert (found.air_temperature_c, found.air_temperature_qc) == (None, None)
    assert (found.dewpoint_c, found.dewpoint_qc) == (0, "V")


def test_a_value_in_an_unknown_unit_is_left_out_and_counted():
    wanted = Wanted()

    row = read(feature(windSpeed=quantity(3, "furlong_fortnight-1")), wanted)

    assert (row.body.wind_speed_ms, row.body.air_temperature_c) == (None, 30.5)
    assert wanted.unknown_units == Counter({("windSpeed", "wmoUnit:furlong_fortnight-1"): 1})


def test_a_null_in_an_unknown_unit_is_no_news():
    wanted = Wanted()

    read(feature(windSpeed=quantity(None, "furlong")), wanted)

    assert not wanted.unknown_units


def test_an_observation_without_any_value_is_a_record_for_its_metar():
    found = body(temperature=quantity(None), rawMessage="KSAC 151253Z 18005KT")

    assert found.raw_message == "KSAC 151253Z 18005KT"


def test_every_field_of_the_schema_is_described():
    properties = json_schema(WeatherObservation)["properties"]

    assert all(properties[name]["description"] for name in WeatherObservation.__struct_fields__)


def test_only_what_is_wanted_is_kept_and_a_row_without_it_is_none():
    wanted = Wanted(chosen(("humidity", "windSpeed")) or (), all_rows=False)

    row = read(feature(windSpeed=quantity(36, "km_h-1")), wanted)

    assert (row.body.wind_speed_ms, row.body.air_temperature_c) == (10, None)
    assert read(feature(), wanted) is None


@pytest.mark.parametrize("m", MEASUREMENTS, ids=lambda m: m.name)
def test_every_measurement_can_be_chosen_by_each_of_its_names(m):
    assert {m.field, m.flag} <= set(WeatherObservation.__struct_fields__)
    for word in (m.name, m.field, *m.words, m.name.upper()):
        assert m in (chosen((word,)) or ())


@pytest.mark.parametrize(
    ("changed", "error_class", "told"),
    [
        ({"timestamp": None}, "bad_time", "2026-03-04T08:00:00"),
        ({"timestamp": "date:now -48747 seconds"}, "bad_time", "date:now -48747"),
        ({"timestamp": "2026-08-15T12:53:00"}, "bad_time", "2026-08-15T12:53:00'"),
        ({"timestamp": "2026-02-30T12:53:00Z"}, "bad_time", "02-30"),
        ({"timestamp": "0001-01-01T00:00:00+23:59"}, "bad_time", "0001"),
        ({"timestamp": 1786798380}, "bad_shape", "timestamp"),
        ({"station": None}, "bad_station", "KSAC"),
        ({"station": "https://api.weather.gov/stations/"}, "bad_station", "KSAC"),
        ({"station": "https://api.weather.gov/stations/K SAC"}, "bad_station", "K SAC"),
        ({"temperature": quantity(1) | {"value": "30.5"}}, "bad_shape", "temperature"),
        ({"temperature": quantity(1) | {"value": True}}, "bad_shape", "temperature"),
        ({"temperature": [30.5]}, "bad_shape", "temperature"),
        ({"temperature": quantity(1) | {"unitCode": 5}}, "bad_shape", "temperature"),
        ({"dewpoint": quantity(1e300)}, "out_of_range", "dewpoint"),
        ({"dewpoint": quantity(10**400)}, "bad_shape", "dewpoint"),
        ({"presentWeather": "FU"}, "bad_shape", "presentWeather"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_rejected_and_says_why(changed, error_class, told):
    raw = json.dumps(feature(**changed)).encode()

    row = read_observation(raw, Wanted())

    assert isinstance(row, Reject)
    assert (row.error_class, row.raw) == (error_class, raw)
    assert told in row.reason


def test_the_station_id_is_used_where_the_address_is_absent():
    found = feature(stationId="KSCK")
    del found["properties"]["station"]

    assert read(found).body.station_id == "KSCK"


@pytest.mark.parametrize(
    ("coordinates", "error_class"),
    [
        ([-121.5], "bad_place"),
        ([-200, 38], "bad_place"),
        ("x", "bad_place"),
        ([1, 91], "bad_place"),
    ],
)
def test_a_place_that_is_none_rejects_the_row(coordinates, error_class):
    found = feature() | {"geometry": {"type": "Point", "coordinates": coordinates}}

    assert read(found).error_class == error_class


@pytest.mark.parametrize(
    "geometry",
    [None, {"type": "Polygon", "coordinates": [[[1, 2]]]}, {"type": "GeometryCollection"}],
)
def test_without_a_point_there_is_no_place(geometry):
    assert read(feature() | {"geometry": geometry}).body.latitude is None


def test_a_giant_row_is_rejected_with_its_beginning():
    row = read(feature(rawMessage="x" * 100_000))

    assert (row.error_class, len(row.raw)) == ("oversized_row", MAX_ROW_BYTES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(feature()["properties"]) + [m.name for m in MEASUREMENTS])
QUANTITIES = st.fixed_dictionaries(
    {"value": JSON, "unitCode": JSON | st.just("wmoUnit:degC"), "qualityControl": JSON}
)


@settings(max_examples=200)
@given(st.dictionaries(NAMES, JSON | QUANTITIES, max_size=5))
def test_any_values_are_a_record_that_can_be_written_or_a_reject(changed):
    row = read(feature(**changed))

    assert isinstance(row, Record | Reject)
    if isinstance(row, Record):
        msgspec.json.decode(msgspec.json.encode(row.body), type=WeatherObservation)


@settings(max_examples=100)
@given(st.binary(max_size=80) | JSON.map(lambda found: json.dumps(found).encode()))
def test_any_bytes_are_a_reject_or_a_record(raw):
    assert isinstance(read_observation(raw, Wanted()), Record | Reject)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"properties":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}",
        b'{"properties":{"station":"\xff\xfe","timestamp":"2026-08-15T12:53:00Z"}}',
        b'{"properties":{"station":"\\ud800","timestamp":"2026-08-15T12:53:00Z"}}',
        b'{"properties":{"temperature":' + b"[" * 30_000 + b"]" * 30_000 + b"}}",
        b'{"properties":{},"properties":[]}',
    ],
)
def test_hostile_bytes_are_rejected(raw):
    assert isinstance(read_observation(raw, Wanted()), Reject)
