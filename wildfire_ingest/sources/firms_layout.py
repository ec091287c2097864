"""Which column of a FIRMS CSV stands where, or why its first line is no FIRMS header.

Pure.  Columns are found by name: an unknown order is read, an unknown column is noted, a missing
one refuses the whole answer.  Source: the area CSV, the static files and the archive downloads.
"""

from __future__ import annotations

from dataclasses import dataclass

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.sources.fire_detection import Family

MAX_HEADER_BYTES = 4096
"""A real header has 140."""

_TEMPERATURES: dict[Family, tuple[str, str]] = {
    "VIIRS": ("bright_ti4", "bright_ti5"),
    "MODIS": ("brightness", "bright_t31"),
}
_OPTIONAL = frozenset({"instrument", "country_id", "type"})
"""`instrument` is absent from static files; `type` stands in standard products."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of one answer stand."""

    family: Family
    columns: int
    positions: tuple[int, ...]
    """Of latitude, longitude, brightness, second brightness, scan, track, frp, acq_date, acq_time,
    satellite, confidence, version, daynight: in this order."""
    instrument: int | None
    notes: tuple[str, ...] = ()


def _wanted(family: Family) -> tuple[str, ...]:
    return (
        *("latitude", "longitude", *_TEMPERATURES[family], "scan", "track", "frp"),
        *("acq_date", "acq_time", "satellite", "confidence", "version", "daynight"),
    )


def looks_like_header(line: bytes) -> bool:
    """Whether a first line is meant as a FIRMS header: it names a latitude among its columns."""
    return len(line) <= MAX_HEADER_BYTES and b"latitude" in line.split(b",")


def layout(line: bytes) -> Layout:
    """The layout that a header line announces.  Raises AnswerRefused where a column is missing."""
    names = line.decode("ascii", "backslashreplace").split(",")
    family: Family = "VIIRS" if "bright_ti4" in names else "MODIS"
    wanted = _wanted(family)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise AnswerRefused(
            f"the FIRMS header lacks {', '.join(missing)}; expected the columns of VIIRS"
            " (bright_ti4) or MODIS (brightness); the product is not supported or its format"
            " has changed",
            sample=line.decode("ascii", "backslashreplace")[:200],
        )
    if len(set(names)) != len(names):
        raise AnswerRefused("the FIRMS header names a column twice", sample=",".join(names)[:200])
    unknown = [name[:40] for name in names if name not in wanted and name not in _OPTIONAL]
    return Layout(
        family=family,
        columns=len(names),
        positions=tuple(names.index(name) for name in wanted),
        instrument=names.index("instrument") if "instrument" in names else None,
        notes=(f"new column, not read: {', '.join(unknown[:8])}",) if unknown else (),
    )
