"""FIRMS answers, and what a FIRMS source needs to be put on a bench."""

from __future__ import annotations

from wildfire_ingest.clock import iso_utc
from wildfire_ingest.exchange import Secret
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms
from wildfire_ingest.testing.clock import START_US

MAP_KEY = "feedc0de" * 4
HEADER = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,"
    "confidence,version,bright_ti5,frp,daynight"
)
TODAY = iso_utc(START_US)[:10]


def row(latitude: object, *, acq_time: str = "0000", frp: str = "3.59") -> str:
    return f"{latitude},-120.79,330.7,0.4,0.4,{TODAY},{acq_time},N,VIIRS,n,2.0NRT,288,{frp},D"


def answer(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def firms(source_id: str = "firms_test", product: str = "VIIRS_SNPP_NRT") -> NasaFirms:
    settings = FirmsSettings(source_id=source_id, product=product, map_key=Secret(MAP_KEY))
    return NasaFirms(settings)
