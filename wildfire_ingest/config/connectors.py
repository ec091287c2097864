"""Which source types there are, what their `custom_params` may say, and the earlier names.

Degrees WGS84, percent, seconds.  A type that is not built yet is accepted, checked and disabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from wildfire_ingest.config.base import Model, Sequence
from wildfire_ingest.config.firms import FirmsParams
from wildfire_ingest.config.topics import Priority

BoundingBox = Annotated[str, Field(pattern=r"^ *-?[0-9.]+( *, *-?[0-9.]+){3} *$")]
Degrees = Annotated[float, Field(ge=-180, le=180)]
Corners = dict[
    Literal[
        "south",
        "west",
        "north",
        "east",
        "lat_min",
        "lon_min",
        "lat_max",
        "lon_max",
        "min_lat",
        "min_lon",
        "max_lat",
        "max_lon",
        "nwlat",
        "nwlng",
        "selat",
        "selng",
    ],
    Degrees,
]
Area = BoundingBox | Annotated[Sequence[Degrees], Field(min_length=4, max_length=4)] | Corners
State = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Zone = Annotated[str, Field(pattern=r"^[A-Z]{2}[CZ][0-9]{3}$")]
Zones = Annotated[
    Sequence[Zone],
    BeforeValidator(lambda given: tuple(given.split(",")) if isinstance(given, str) else given),
]
"""A list, or one text: `CAZ216`, `CAZ216,CAZ220`."""


class NoaaWeatherParams(Model):
    """Observations of NWS stations."""

    state: State | None = None
    """State of the stations, two letters."""
    stations: Sequence[str] = ()
    """Station ids, e.g. KSAC."""
    zones: Sequence[str] = ()
    """Forecast zones whose stations count."""
    data_types: Sequence[str] = ()
    """Measurements to keep: temperature, humidity, wind_speed …"""
    user_agent: str | None = None
    """Contact that the API asks for; `${ENV:NAME}` is allowed."""


class NoaaAlertsParams(Model):
    """Active NWS alerts."""

    state: State | None = None
    """State of the alerts, two letters; neither state nor zones: the whole country."""
    zones: Zones = Field(default=(), validation_alias=AliasChoices("zones", "zone"))
    """Zones or counties, e.g. CAZ216, asked for in place of the state; `zone` is the same key."""
    alert_types: Sequence[str] = ()
    """Events to keep, e.g. Red Flag Warning, in any case of letters; none: all."""
    user_agent: str | None = None
    """Contact that the API asks for; `${ENV:NAME}` is allowed."""


class WeatherParams(Model):
    """Models and METAR reports."""

    dataset: Literal["era5", "era5_land", "gfs", "nam", "metar"] = "metar"
    """Which data."""
    area: Area | None = None
    """Bounding box: south,west,north,east in degrees."""
    stations: Sequence[str] = ()
    """METAR stations."""
    variables: Sequence[str] = ()
    """Variables of a model."""
    api_key: SecretStr | None = None
    """Key of the data store; only as `${ENV:NAME}`."""


class PurpleAirParams(Model):
    """PurpleAir sensors in a box."""

    bounding_box: Area | None = None
    """south,west,north,east in degrees."""
    fields: Sequence[str] = ()
    """Fields to ask for; each costs points."""
    location_type: Literal["outside", "inside"] | None = None
    """Where the sensor hangs."""
    max_age_seconds: Annotated[int, Field(ge=0)] = 3600
    """Sensors silent for longer are left out, s."""
    api_key: SecretStr | None = None
    """READ key; only as `${ENV:NAME}`."""


class AirNowParams(Model):
    """AirNow observations."""

    bounding_box: Area | None = None
    """south,west,north,east in degrees."""
    zip_codes: Sequence[Annotated[str, Field(pattern=r"^[0-9]{5}$")]] = ()
    """ZIP codes."""
    parameters: Sequence[Literal["PM25", "PM10", "OZONE", "NO2", "CO", "SO2"]] = ()
    """Pollutants."""
    api_key: SecretStr | None = None
    """API key; only as `${ENV:NAME}`."""


class OpenAqParams(Model):
    """OpenAQ v3 sensors."""

    bounding_box: Area | None = None
    """south,west,north,east in degrees."""
    sensors: Sequence[int] = ()
    """Sensor ids."""
    parameters: Sequence[str] = ()
    """Pollutants by name."""
    api_key: SecretStr | None = None
    """API key; only as `${ENV:NAME}`."""


class SynopticParams(Model):
    """Synoptic and RAWS stations."""

    state: State | None = None
    """State of the stations, two letters."""
    stations: Sequence[str] = ()
    """Station ids."""
    networks: Sequence[int] = ()
    """Networks; 2 is RAWS."""
    variables: Sequence[str] = ()
    """Variables, e.g. air_temp, fuel_moisture."""
    token: SecretStr | None = None
    """API token; only as `${ENV:NAME}`."""


class IotSensorParams(Model):
    """Own sensors."""

    sensor_network: str | None = None
    """Name of the network."""
    metrics: Sequence[str] = ()
    """Measurements to keep."""
    topics: Sequence[str] = ()
    """MQTT topics."""
    api_key: SecretStr | None = None
    """Key of the network's server; only as `${ENV:NAME}`."""


class SatelliteParams(Model):
    """Scenes of imaging satellites."""

    satellite: str | None = None
    """Satellite, e.g. Landsat-8."""
    product: str | None = None
    """Product, e.g. thermal."""
    cloud_cover_max: Annotated[float, Field(ge=0, le=100)] | None = None
    """Most cloud, percent."""
    area: Area | None = None
    """south,west,north,east in degrees."""
    api_key: SecretStr | None = None
    """Key of the archive; only as `${ENV:NAME}`."""


class IncidentsParams(Model):
    """Incidents and perimeters."""

    feed: Literal["wfigs_incidents", "wfigs_perimeters", "calfire"] = "wfigs_incidents"
    """Which service."""
    state: State | None = None
    """State of the incidents, two letters."""
    include_inactive: bool = False
    """Whether finished incidents count."""


@dataclass(frozen=True, slots=True)
class Connector:
    """One source type."""

    params: type[Model]
    base_url: str
    priority: Priority = "normal"
    """Lane of its records where neither a rule nor the source says otherwise."""
    is_built: bool = False
    published_rate_per_minute: float | None = None
    """Most requests the API allows or asks for."""
    freshness_s: float = 86_400.0
    """How long it may be silent without anything being wrong."""


CONNECTORS: Mapping[str, Connector] = {
    # Polar orbits: half a day between passes over one place, and seasons without fires.
    "nasa_firms": Connector(
        FirmsParams, "https://firms.modaps.eosdis.nasa.gov", "high", is_built=True
    ),
    # Stations report every hour; some are an hour late.
    "noaa_weather": Connector(
        NoaaWeatherParams, "https://api.weather.gov", is_built=True, freshness_s=3 * 3600.0
    ),
    # A state may have no alert for days.
    "noaa_alerts": Connector(
        NoaaAlertsParams,
        "https://api.weather.gov",
        "high",
        is_built=True,
        published_rate_per_minute=2,
        freshness_s=7 * 86_400.0,
    ),
    "weather": Connector(WeatherParams, "https://aviationweather.gov"),
    "purpleair": Connector(
        PurpleAirParams, "https://api.purpleair.com", published_rate_per_minute=1
    ),
    "airnow": Connector(
        AirNowParams, "https://www.airnowapi.org", published_rate_per_minute=500 / 60
    ),
    "openaq": Connector(OpenAqParams, "https://api.openaq.org", published_rate_per_minute=60),
    "synoptic": Connector(SynopticParams, "https://api.synopticdata.com"),
    "iot_sensor": Connector(IotSensorParams, "https://localhost"),
    "satellite": Connector(SatelliteParams, "https://catalogue.dataspace.copernicus.eu", "low"),
    "incidents": Connector(IncidentsParams, "https://services3.arcgis.com", "high"),
}


def type_meant(source_id: str, source_type: object, params: object) -> object:
    """The source type, with the earlier file's uses of iot_sensor and noaa_weather told apart."""
    keys: dict[str, Any] = params if isinstance(params, dict) else {}
    if source_type == "iot_sensor" and (
        source_id.startswith("purpleair") or "bounding_box" in keys
    ):
        return "purpleair"
    if source_type == "noaa_weather" and (
        source_id.startswith("noaa_alerts") or "alert_types" in keys
    ):
        return "noaa_alerts"
    return source_type
