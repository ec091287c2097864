"""Every recorded observation answer is read; an independent reading says the same of each value.

In the recordings of the NWS's own test proxy a timestamp may be replaced by `date:now …`, which is
no time; the feature's id has the true one, and the test puts it back.
"""

import json
import re
from datetime import datetime
from decimal import Decimal

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.sources.noaa_weather import NoaaWeather
from wildfire_ingest.sources.schema import json_schema
from wildfire_ingest.sources.settings import NwsObservationsSettings
from wildfire_ingest.sources.weather_observation import WeatherObservation

pytestmark = pytest.mark.samples

REPLACED = re.compile(r'"timestamp": "date:now[^"]*"')
ONE, NULL = Decimal(1), Decimal(0)
FACTORS = {
    "degC": (ONE, NULL),
    "degF": (Decimal(5) / 9, Decimal(-160) / 9),
    "km_h-1": (ONE / Decimal("3.6"), NULL),
    "m_s-1": (ONE, NULL),
    "Pa": (ONE, NULL),
    "percent": (ONE, NULL),
    "degree_(angle)": (ONE, NULL),
    "mm": (ONE, NULL),
}
FIELDS = {
    "temperature": ("air_temperature_c", "air_temperature_qc"),
    "dewpoint": ("dewpoint_c", "dewpoint_qc"),
    "relativeHumidity": ("relative_humidity_percent", "relative_humidity_qc"),
    "windSpeed": ("wind_speed_ms", "wind_speed_qc"),
    "windGust": ("wind_gust_ms", "wind_gust_qc"),
    "windDirection": ("wind_direction_deg", "wind_direction_qc"),
    "barometricPressure": ("pressure_pa", "pressure_qc"),
    "seaLevelPressure": ("sea_level_pressure_pa", "sea_level_pressure_qc"),
    "visibility": ("visibility_m", "visibility_qc"),
    "precipitationLastHour": ("precipitation_1h_mm", "precipitation_1h_qc"),
    "precipitationLast3Hours": ("precipitation_3h_mm", "precipitation_3h_qc"),
    "precipitationLast6Hours": ("precipitation_6h_mm", "precipitation_6h_qc"),
    "windChill": ("wind_chill_c", "wind_chill_qc"),
    "heatIndex": ("heat_index_c", "heat_index_qc"),
    "maxTemperatureLast24Hours": ("max_temperature_24h_c", "max_temperature_24h_qc"),
    "minTemperatureLast24Hours": ("min_temperature_24h_c", "min_temperature_24h_qc"),
}
UNAVAILABLE = {"testing__PAFA.json", "testing__PAFB.json"}
"""Recorded with status 503: their list of features is null."""
READ = {"nws/observations": 39, "nws/pynws": 8}
"""Records of each folder."""
WITHOUT_TIME = {"stations_observations_empty.json", "stations_observations_missing_value.json"}


def source():
    return NoaaWeather(NwsObservationsSettings(source_id="stations", stations=("KSAC",)))


def files(samples, folder):
    return sorted(
        path
        for path in (samples / folder).glob("*.json")
        if folder == "nws/observations" or path.name.startswith("stations_observations")
    )


def with_true_times(body):
    """The body as the API sent it, times included."""
    parts = json.loads(body)
    ids = [found["id"].rpartition("/")[2] for found in parts.get("features") or []]
    times = iter(ids)
    return REPLACED.sub(lambda _: f'"timestamp": "{next(times)}"', body.decode()).encode()


def independently(found):
    """One feature by json, Decimal and datetime: station, seconds, fields."""
    properties = found["properties"]
    longitude, latitude = found["geometry"]["coordinates"]
    fields = {
        "station_id": properties["station"].split("/")[-1],
        "latitude": latitude,
        "longitude": longitude,
        "elevation_m": properties["elevation"]["value"],
    }
    texts = {
        "station_name": properties.get("stationName"),
        "text_description": properties["textDescription"],
        "raw_message": properties["rawMessage"],
        "present_weather": " ".join(one["rawString"] for one in properties["presentWeather"]),
    }
    fields |= {name: text for name, text in texts.items() if text}
    for name, (field, flag) in FIELDS.items():
        measured = properties.get(name, {})
        if measured.get("value") is None:
            continue
        unit = measured["unitCode"].split(":")[1]
        length = {"visibility": ONE}.get(name, Decimal(1000))
        scale, shift = FACTORS[unit] if unit != "m" else (length, NULL)
        fields[field] = Decimal(repr(measured["value"])) * scale + shift
        said = (measured.get("qualityControl") or "").split(":")[-1]
        fields |= {flag: said} if said else {}
    at = datetime.fromisoformat(properties["timestamp"])
    return at.timestamp(), fields


def same(ours, theirs):
    if isinstance(theirs, Decimal):
        return abs(Decimal(ours) - theirs) <= Decimal("0.000001")
    return bool(ours == theirs)


@pytest.mark.parametrize("folder", READ)
def test_every_value_unit_and_time_is_that_of_an_independent_reading(samples, folder):
    read = 0
    for path in files(samples, folder):
        if path.name in UNAVAILABLE | WITHOUT_TIME:
            continue
        body = with_true_times(path.read_bytes())
        decoded = source().read(body)
        parsed = json.loads(body)
        features = parsed.get("features", [parsed] if parsed["type"] == "Feature" else None)

        assert (decoded.rejects, decoded.notes) == ([], ()), path.name
        assert len(decoded.records) == len(features)
        for record, found in zip(decoded.records, features, strict=True):
            at_s, expected = independently(found)
            ours = msgspec.to_builtins(record.body)
            assert record.observed_at_s == at_s
            assert ours.keys() == expected.keys(), path.name
            assert [k for k in ours if not same(ours[k], expected[k])] == [], path.name
        read += len(decoded.records)

    assert read == READ[folder]


def test_every_recorded_observation_satisfies_the_published_schema(samples):
    schema = json_schema(WeatherObservation)
    of_body = schema | {"required": ["station_id"]}
    jsonschema.Draft202012Validator.check_schema(schema)

    for folder in READ:
        for path in files(samples, folder):
            if path.name not in UNAVAILABLE:
                for record in source().read(with_true_times(path.read_bytes())).records:
                    body = msgspec.json.decode(msgspec.json.encode(record.body))
                    jsonschema.validate(body, of_body)


def test_a_row_without_a_time_is_rejected_and_says_so(samples):
    for name in WITHOUT_TIME:
        decoded = source().read((samples / "nws/pynws" / name).read_bytes())

        assert (len(decoded.records), [r.error_class[:4] for r in decoded.rejects]) == (0, ["bad_"])


def test_a_time_that_the_recorder_replaced_is_no_time(samples):
    body = (samples / "nws/observations/load-testing-ioc__OAMC1.json").read_bytes()

    (reject,) = source().read(body).rejects

    assert "date:now -48747" in reject.reason


@pytest.mark.parametrize("name", sorted(UNAVAILABLE))
def test_an_answer_whose_list_is_null_is_refused(samples, name):
    with pytest.raises(AnswerRefused, match="null"):
        source().read((samples / "nws/observations" / name).read_bytes())


def test_every_error_answer_is_refused_by_name(samples):
    for path in sorted((samples / "nws/errors").glob("*.json")):
        name = json.loads(path.read_bytes())["type"].rpartition("/")[2]

        with pytest.raises(AnswerRefused, match=f"NWS says {name}"):
            source().read(path.read_bytes())
