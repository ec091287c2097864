"""What a weather observation is: its fields, and the API's name, kind and words of each.

Pure.  Units stand in the field names.  A field without a value is absent, and so is its quality
flag: a flag beside no value says nothing.
Source: https://api.weather.gov/openapi.json, https://madis.ncep.noaa.gov/madis_sfc_qc_notes.shtml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from wildfire_ingest.record import Body
from wildfire_ingest.sources.nws_units import Kind


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value of an observation."""

    name: str
    """The API's name."""
    field: str
    flag: str
    """The field of its quality flag."""
    kind: Kind
    words: tuple[str, ...]
    """What else a configuration may call it."""


MEASUREMENTS = (
    Measurement(
        "temperature",
        "air_temperature_c",
        "air_temperature_qc",
        "temperature",
        ("air_temperature",),
    ),
    Measurement("dewpoint", "dewpoint_c", "dewpoint_qc", "temperature", ("dew_point",)),
    Measurement(
        "relativeHumidity",
        "relative_humidity_percent",
        "relative_humidity_qc",
        "percent",
        ("humidity",),
    ),
    Measurement("windSpeed", "wind_speed_ms", "wind_speed_qc", "speed", ("wind",)),
    Measurement("windGust", "wind_gust_ms", "wind_gust_qc", "speed", ("wind",)),
    Measurement("windDirection", "wind_direction_deg", "wind_direction_qc", "angle", ("wind",)),
    Measurement("barometricPressure", "pressure_pa", "pressure_qc", "pressure", ("pressure",)),
    Measurement(
        "seaLevelPressure",
        "sea_level_pressure_pa",
        "sea_level_pressure_qc",
        "pressure",
        ("pressure",),
    ),
    Measurement("visibility", "visibility_m", "visibility_qc", "length", ()),
    Measurement(
        "precipitationLastHour",
        "precipitation_1h_mm",
        "precipitation_1h_qc",
        "depth",
        ("precipitation", "rain"),
    ),
    Measurement(
        "precipitationLast3Hours",
        "precipitation_3h_mm",
        "precipitation_3h_qc",
        "depth",
        ("precipitation", "rain"),
    ),
    Measurement(
        "precipitationLast6Hours",
        "precipitation_6h_mm",
        "precipitation_6h_qc",
        "depth",
        ("precipitation", "rain"),
    ),
    Measurement("windChill", "wind_chill_c", "wind_chill_qc", "temperature", ()),
    Measurement("heatIndex", "heat_index_c", "heat_index_qc", "temperature", ()),
    Measurement(
        "maxTemperatureLast24Hours",
        "max_temperature_24h_c",
        "max_temperature_24h_qc",
        "temperature",
        ("max_temperature",),
    ),
    Measurement(
        "minTemperatureLast24Hours",
        "min_temperature_24h_c",
        "min_temperature_24h_qc",
        "temperature",
        ("min_temperature",),
    ),
)

_Flag = Annotated[
    str | None,
    Meta(
        description="MADIS quality flag: Z not checked, C coarse pass, S screened, V verified,"
        " X failed, Q questioned, G good by hand, B bad by hand, T virtual temperature."
    ),
]


class WeatherObservation(Body, frozen=True, gc=False, omit_defaults=True):
    """What one weather station measured at one time, as the US National Weather Service has it."""

    record_type = "weather_observation"
    schema_version = 1

    station_id: Annotated[str, Meta(min_length=1, description="The station, e.g. KSAC.")]
    station_name: Annotated[str | None, Meta(description="The station's name.")] = None
    latitude: Annotated[
        Annotated[float, Meta(ge=-90, le=90)] | None, Meta(description="WGS 84, degrees.")
    ] = None
    longitude: Annotated[
        Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="WGS 84, degrees.")
    ] = None
    elevation_m: Annotated[float | None, Meta(description="Of the station, metres.")] = None
    air_temperature_c: Annotated[float | None, Meta(description="Degree Celsius.")] = None
    air_temperature_qc: _Flag = None
    dewpoint_c: Annotated[float | None, Meta(description="Degree Celsius.")] = None
    dewpoint_qc: _Flag = None
    relative_humidity_percent: Annotated[float | None, Meta(description="Per cent.")] = None
    relative_humidity_qc: _Flag = None
    wind_speed_ms: Annotated[float | None, Meta(description="Metres per second.")] = None
    wind_speed_qc: _Flag = None
    wind_gust_ms: Annotated[float | None, Meta(description="Metres per second.")] = None
    wind_gust_qc: _Flag = None
    wind_direction_deg: Annotated[
        float | None, Meta(description="Where the wind comes from, degrees from true north.")
    ] = None
    wind_direction_qc: _Flag = None
    pressure_pa: Annotated[
        float | None, Meta(description="Barometric pressure (altimeter setting), pascal.")
    ] = None
    pressure_qc: _Flag = None
    sea_level_pressure_pa: Annotated[
        float | None, Meta(description="Pressure reduced to sea level, pascal.")
    ] = None
    sea_level_pressure_qc: _Flag = None
    visibility_m: Annotated[float | None, Meta(description="Metres.")] = None
    visibility_qc: _Flag = None
    precipitation_1h_mm: Annotated[
        float | None, Meta(description="Of the last hour, millimetres.")
    ] = None
    precipitation_1h_qc: _Flag = None
    precipitation_3h_mm: Annotated[
        float | None, Meta(description="Of the last 3 hours, millimetres.")
    ] = None
    precipitation_3h_qc: _Flag = None
    precipitation_6h_mm: Annotated[
        float | None, Meta(description="Of the last 6 hours, millimetres.")
    ] = None
    precipitation_6h_qc: _Flag = None
    wind_chill_c: Annotated[float | None, Meta(description="Degree Celsius.")] = None
    wind_chill_qc: _Flag = None
    heat_index_c: Annotated[float | None, Meta(description="Degree Celsius.")] = None
    heat_index_qc: _Flag = None
    max_temperature_24h_c: Annotated[
        float | None, Meta(description="Highest of the last 24 hours, degree Celsius.")
    ] = None
    max_temperature_24h_qc: _Flag = None
    min_temperature_24h_c: Annotated[
        float | None, Meta(description="Lowest of the last 24 hours, degree Celsius.")
    ] = None
    min_temperature_24h_qc: _Flag = None
    present_weather: Annotated[
        str | None, Meta(description="METAR codes with blanks between, e.g. `FU HZ` (smoke, haze).")
    ] = None
    text_description: Annotated[str | None, Meta(description="In words, e.g. Mostly Clear.")] = None
    raw_message: Annotated[str | None, Meta(description="The METAR, where there is one.")] = None


_SEPARATORS = str.maketrans("", "", "_- ")


def _plain(word: str) -> str:
    return word.translate(_SEPARATORS).lower()


def chosen(words: tuple[str, ...]) -> tuple[Measurement, ...] | None:
    """The measurements that these words mean; None where a word is not known."""
    wanted = {_plain(word) for word in words}
    names = {
        m: {_plain(name) for name in (m.name, m.field, m.flag.removesuffix("_qc"), *m.words)}
        for m in MEASUREMENTS
    }
    if wanted - set().union(*names.values()):
        return None
    return tuple(m for m, known in names.items() if known & wanted) or MEASUREMENTS


def known_words() -> str:
    """What a configuration may say, for a person."""
    plain = (word for m in MEASUREMENTS for word in (*m.words, m.flag.removesuffix("_qc")))
    return ", ".join(dict.fromkeys(plain))
