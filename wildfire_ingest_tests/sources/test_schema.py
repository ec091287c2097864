"""The committed schemas are what the code says.  Run this file as a script to write them anew."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from wildfire_ingest.sources.fire_detection import FireDetection
from wildfire_ingest.sources.firms_csv import read_csv
from wildfire_ingest.sources.schema import json_schema, schema_files
from wildfire_ingest.sources.weather_alert import WeatherAlert
from wildfire_ingest_tests.sources.alerts import feature, only

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
CSV = (
    b"latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,instrument,"
    b"confidence,version,bright_t31,frp,daynight\n"
    b"20.88293,84.98697,314.43,1.09,1.04,2026-09-16,939,Aqua,MODIS,30,6.1NRT,299.05,7.67,D\n"
)


def flat_record():
    body = msgspec.to_builtins(read_csv(CSV).records[0].body)
    envelope = {
        "id": "0" * 32,
        "type": "fire_detection",
        "source_id": "firms_modis",
        "schema_version": 1,
        "observed_at": "2026-09-16T09:39:00Z",
        "ingested_at": "2026-09-16T11:00:00.123456Z",
        "revision": 0,
    }
    return envelope | body


def test_the_committed_schemas_are_what_the_code_says():
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}

    assert committed == schema_files(), f"run `python {Path(__file__).name}` to write them anew"


def test_a_record_of_a_real_row_satisfies_its_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema(FireDetection))

    jsonschema.validate(flat_record(), json_schema(FireDetection))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latitude", 91),
        ("confidence", "sure"),
        ("confidence_percent", 101),
        ("id", "not hexadecimal"),
        ("observed_at", "2026-09-16T09:39:00-07:00"),
        ("frp_mw", None),
        ("revision", -1),
    ],
)
def test_a_wrong_value_does_not_satisfy_the_schema(field, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(flat_record() | {field: value}, json_schema(FireDetection))


def test_a_record_without_an_envelope_field_does_not_satisfy_the_schema():
    record = flat_record()
    del record["source_id"]

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, json_schema(FireDetection))


def flat_alert(**changes):
    ring = [[[-121.5, 39.25], [-121, 39.25], [-121, 40], [-121.5, 39.25]]]
    record = only(feature(geometry={"type": "Polygon", "coordinates": ring}))
    envelope = flat_record() | {"type": "weather_alert"}
    own = {key: envelope[key] for key in json_schema(WeatherAlert)["required"] if key in envelope}
    return own | msgspec.json.decode(msgspec.json.encode(record.body)) | changes


def test_an_alert_with_codes_and_geometry_satisfies_its_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema(WeatherAlert))

    jsonschema.validate(flat_alert(), json_schema(WeatherAlert))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sent", "2026-05-14T09:25:00-07:00"),
        ("ends_from", "guess"),
        ("vtec", [{"text": "/O.NEW/"}]),
        ("vtec", [{**flat_alert()["vtec"][0], "ends": None}]),
        ("geometry", {"type": "Circle", "coordinates": []}),
        ("references", "urn:1"),
    ],
)
def test_a_wrong_part_of_an_alert_does_not_satisfy_its_schema(field, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(flat_alert(**{field: value}), json_schema(WeatherAlert))


def test_every_field_of_the_schema_is_described_or_fixed():
    properties = json.loads(schema_files()["fire_detection.v1.json"])["properties"]

    body = [name for name in properties if name in FireDetection.__struct_fields__]

    assert len(body) == len(FireDetection.__struct_fields__)
    assert all(properties[name]["description"] for name in body)


if __name__ == "__main__":
    for name, text in schema_files().items():
        (FOLDER / name).write_text(text, "utf-8")
