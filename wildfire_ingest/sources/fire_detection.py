"""What a fire detection is: its fields, and the words that FIRMS has for satellite and confidence.

Pure.  Units stand in the field names; temperatures are brightness temperatures.
Source: https://www.earthdata.nasa.gov/data/tools/firms/active-fire-data-attributes-modis-viirs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from wildfire_ingest.record import Body

Family = Literal["VIIRS", "MODIS"]
Confidence = Literal["low", "nominal", "high"]
DayNight = Literal["D", "N"]

SATELLITES: dict[Family, dict[bytes, str]] = {
    # FIRMS wrote NOAA-20 as `1` until 2023 and as `N20` since.
    "VIIRS": {b"N": "S-NPP", b"N20": "NOAA-20", b"1": "NOAA-20", b"N21": "NOAA-21"},
    "MODIS": {b"T": "Terra", b"Terra": "Terra", b"A": "Aqua", b"Aqua": "Aqua"},
}
"""FIRMS' codes, old and new, API and static file -> the satellite's usual name."""


def _modis_class(percent: int) -> Confidence:
    """FIRMS' own classes: 0-29 low, 30-79 nominal, 80-100 high."""
    if percent < 30:  # noqa: PLR2004 - the published limits, named by the docstring
        return "low"
    return "nominal" if percent < 80 else "high"  # noqa: PLR2004 - as above


CONFIDENCES: dict[Family, dict[bytes, tuple[Confidence, int | None]]] = {
    "VIIRS": {
        b"l": ("low", None),
        b"low": ("low", None),
        b"n": ("nominal", None),
        b"nominal": ("nominal", None),
        b"h": ("high", None),
        b"high": ("high", None),
    },
    "MODIS": {b"%d" % percent: (_modis_class(percent), percent) for percent in range(101)},
}
"""FIRMS' spelling -> class, and the percentage where the instrument has one."""


class FireDetection(Body, frozen=True, gc=False, omit_defaults=True):
    """One pixel in which a satellite saw a fire or another thermal anomaly."""

    record_type = "fire_detection"
    schema_version = 1

    latitude: Annotated[float, Meta(ge=-90, le=90, description="Pixel centre, WGS 84, degrees.")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Pixel centre, WGS 84, degrees.")]
    satellite: Annotated[str, Meta(description="S-NPP, NOAA-20, NOAA-21, Terra or Aqua.")]
    instrument: Annotated[Family, Meta(description="The radiometer.")]
    confidence: Annotated[
        Confidence,
        Meta(description="VIIRS: as given. MODIS: 0-29 % low, 30-79 % nominal, 80-100 % high."),
    ]
    confidence_percent: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        Meta(description="MODIS only: the confidence as given, per cent."),
    ] = None
    brightness_k: Annotated[
        float | None,
        Meta(description="Brightness temperature, VIIRS I-4 or MODIS 21/22, kelvin."),
    ] = None
    brightness_t31_k: Annotated[
        float | None, Meta(description="Brightness temperature, VIIRS I-5 or MODIS 31, kelvin.")
    ] = None
    scan_km: Annotated[float | None, Meta(description="Pixel size along the scan, km.")] = None
    track_km: Annotated[float | None, Meta(description="Pixel size along the track, km.")] = None
    frp_mw: Annotated[float | None, Meta(description="Fire radiative power, MW.")] = None
    daynight: Annotated[DayNight | None, Meta(description="D day, N night.")] = None
    version: Annotated[
        str | None,
        Meta(description="Collection and processing: 2.0NRT, 2.0URT, 6.1NRT; no suffix: standard."),
    ] = None
