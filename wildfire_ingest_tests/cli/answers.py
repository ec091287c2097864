"""Answers to replay, and what a written configuration is about."""

import json
from pathlib import Path

from wildfire_ingest.clock import SystemClock, iso_utc

HEADER = (
    "latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,"
    "confidence,version,bright_t31,frp,daynight\n"
)
SOURCE = "firms_cli"
MAP_KEY = "feedbeef" * 4


def answer(*latitudes: object, frp: str = "64.9", day: str | None = None) -> bytes:
    """A MODIS answer of today, a row per latitude; one that is no number makes a bad row."""
    day = day or iso_utc(SystemClock().now_us())[:10]
    row = "{},37.4,310.1,3.4,1.7,{},0000,T,70,6.1NRT,272.01,{},N\n"
    return (HEADER + "".join(row.format(lat, day, frp) for lat in latitudes)).encode()


def source_of(config: Path) -> str:
    return str(next(iter(json.loads(config.read_text())["sources"])))


def topic_of(config: Path) -> str:
    return str(next(iter(json.loads(config.read_text())["topics"])))
