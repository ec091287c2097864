"""How FIRMS writes its rows: the area CSV of the API, and the static files, to the byte.

API: instrument column, acq_time without leading zeros, trailing zeros cut, one-letter confidence.
Static: no instrument, padded acq_time, decimals kept, whole words, one-letter MODIS satellites.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from wildfire_ingest.simulator.firms_world import Pixel, Satellite

_MODIS = ("Terra", "Aqua")


def header(satellite: Satellite, *, is_static: bool) -> str:
    """The first line of an answer."""
    first, second = (
        ("brightness", "bright_t31") if satellite in _MODIS else ("bright_ti4", "bright_ti5")
    )
    instrument = "" if is_static else "instrument,"
    return (
        f"latitude,longitude,{first},scan,track,acq_date,acq_time,satellite,"
        f"{instrument}confidence,version,{second},frp,daynight"
    )


def api_row(satellite: Satellite, pixel: Pixel) -> str:
    """One row of the area CSV."""
    at = time.gmtime(pixel.acquired_s)
    is_modis = satellite in _MODIS
    confidence = pixel.confidence if is_modis else pixel.confidence[0]
    return ",".join(
        (
            *(cut(pixel.latitude, 5), cut(pixel.longitude, 5), cut(pixel.bright_k, 2)),
            *(cut(pixel.scan_km, 2), cut(pixel.track_km, 2), time.strftime("%Y-%m-%d", at)),
            *(str(at.tm_hour * 100 + at.tm_min), satellite, "MODIS" if is_modis else "VIIRS"),
            *(confidence, pixel.version, cut(pixel.bright2_k, 2), cut(pixel.frp_mw, 2)),
            pixel.daynight,
        )
    )


def static_row(satellite: Satellite, pixel: Pixel) -> str:
    """One row of a 24h, 48h or 7d file."""
    at = time.gmtime(pixel.acquired_s)
    return ",".join(
        (
            *(f"{pixel.latitude:.5f}", f"{pixel.longitude:.5f}", f"{pixel.bright_k:.2f}"),
            *(f"{pixel.scan_km:.2f}", f"{pixel.track_km:.2f}", time.strftime("%Y-%m-%d", at)),
            *(time.strftime("%H%M", at), satellite[0] if satellite in _MODIS else satellite),
            *(pixel.confidence, pixel.version, f"{pixel.bright2_k:.2f}", f"{pixel.frp_mw:.2f}"),
            pixel.daynight,
        )
    )


def cut(value: float, decimals: int) -> str:
    """A number as the API writes it: 367, 5.4, -120.79179."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def document(first: str, rows: Iterable[str]) -> bytes:
    """Header and rows; every line ends with a line feed."""
    return ("\n".join([first, *rows]) + "\n").encode("ascii")
