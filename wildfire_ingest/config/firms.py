"""`custom_params` of a nasa_firms source: products, areas and the earlier words for them.

Degrees WGS84.  Quota: firms.modaps.eosdis.nasa.gov/api (5,000 transactions in 10 minutes a
key), read 2026-11.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from wildfire_ingest.config.base import Model, refusal
from wildfire_ingest.config.finding import nearest
from wildfire_ingest.sources.firms_request import STATIC_FILES

QUOTA_UNITS = 5000
QUOTA_INTERVAL_S = 600.0
NOT_BUILT_PRODUCTS = ("VIIRS_SNPP_SP", "VIIRS_NOAA20_SP", "MODIS_SP", "LANDSAT_NRT")
PRODUCTS = (*STATIC_FILES, *NOT_BUILT_PRODUCTS)
SATELLITES = {
    "VIIRS": "VIIRS_SNPP_NRT",
    "SNPP": "VIIRS_SNPP_NRT",
    "NOAA20": "VIIRS_NOAA20_NRT",
    "NOAA21": "VIIRS_NOAA21_NRT",
    "MODIS": "MODIS_NRT",
}
REGIONS = {
    "CA": "-124.482003,32.534156,-114.131211,42.009518",
    "CALIFORNIA": "-124.482003,32.534156,-114.131211,42.009518",
    "CONUS": "-125,24.5,-66.5,49.5",
    "US": "-180,15,-65,72",
    "WORLD": "world",
}
STATIC_REGIONS = (
    "Global",
    "USA_contiguous_and_Hawaii",
    "Alaska",
    "Canada",
    "Central_America",
    "South_America",
    "Europe",
    "Northern_and_Central_Africa",
    "Southern_Africa",
    "Russia_Asia",
    "South_Asia",
    "SouthEast_Asia",
    "Australia_NewZealand",
)
_NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,6})?")


class FirmsParams(Model):
    """Which detections a nasa_firms source asks for."""

    product: str | None = None
    """VIIRS_SNPP_NRT (the default), VIIRS_NOAA20_NRT, VIIRS_NOAA21_NRT or MODIS_NRT."""
    satellite: str | None = None
    """Earlier file's word for product: VIIRS, MODIS, SNPP, NOAA20 or NOAA21."""
    area: str | None = None
    """`west,south,east,north` in degrees, or `world`; default California's box."""
    region: str | None = None
    """Earlier file's word for area: CA, CONUS, US or world."""
    day_range: Annotated[int, Field(ge=1, le=5)] = 1
    """UTC days a poll asks for, today included."""
    map_key: SecretStr | None = None
    """MAP_KEY of the API; only as `${ENV:NAME}`; default `${ENV:FIRMS_MAP_KEY}`."""
    feed: Literal["api", "static"] = "api"
    """`api` (needs a key) or the `static` files of the last hours (need none)."""
    static_span: Literal["24h", "48h", "7d"] = "24h"
    """Span of the static file."""
    static_region: str = "USA_contiguous_and_Hawaii"
    """Region of the static file, e.g. Global; the area does not narrow it."""

    @property
    def chosen_product(self) -> str:
        """The product, by whichever word it was given."""
        if self.product is not None:
            return self.product
        return SATELLITES[self.satellite] if self.satellite else "VIIRS_SNPP_NRT"

    @property
    def chosen_area(self) -> str:
        """The area, by whichever word it was given."""
        return self.area or REGIONS[self.region or "CA"]

    @field_validator("product")
    @classmethod
    def _known_product(cls, value: str | None) -> str | None:
        if value is None or value in PRODUCTS:
            return value
        raise refusal(f"one of {', '.join(PRODUCTS)}", nearest(value, PRODUCTS))

    @field_validator("satellite")
    @classmethod
    def _known_satellite(cls, value: str | None) -> str | None:
        if value is None:
            return None
        word = value.upper().replace("-", "")
        if word not in SATELLITES:
            raise refusal(f"one of {', '.join(SATELLITES)}", nearest(value, SATELLITES))
        return word

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value.upper() not in REGIONS:
            raise refusal(
                f"one of {', '.join(REGIONS)}, or area: west,south,east,north",
                nearest(value, REGIONS),
            )
        return value.upper()

    @field_validator("static_region")
    @classmethod
    def _known_static_region(cls, value: str) -> str:
        if value not in STATIC_REGIONS:
            raise refusal(f"one of {', '.join(STATIC_REGIONS)}", nearest(value, STATIC_REGIONS))
        return value

    @field_validator("area")
    @classmethod
    def _valid_area(cls, value: str | None) -> str | None:
        return None if value is None else _checked_area(value)


def _checked_area(value: str) -> str:
    if value.strip().lower() == "world":
        return "world"
    parts = [part.strip() for part in value.split(",")]
    # The text goes into the request's path: digits, dot, minus and comma only.
    if len(parts) != 4 or not all(_NUMBER.fullmatch(part) for part in parts):  # noqa: PLR2004 - box
        raise refusal("west,south,east,north in degrees, or world")
    west, south, east, north = (float(part) for part in parts)
    if not (-180 <= west < east <= 180):  # noqa: PLR2004 - degrees
        raise refusal("west < east, both within -180..180 (order: west,south,east,north)")
    if not (-90 <= south < north <= 90):  # noqa: PLR2004 - degrees
        raise refusal("south < north, both within -90..90 (order: west,south,east,north)")
    return ",".join(parts)
