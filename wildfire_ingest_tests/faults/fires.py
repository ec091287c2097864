"""FIRMS answers for fault tests, and what must become of them, by a reading of their own.

The expectation shares no code with the product: csv.DictReader and exact decimals.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

HEADER = (
    "latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,confidence,version,"
    "bright_t31,frp,daynight"
)
NOW_S = int(datetime(2022, 4, 5, tzinfo=UTC).timestamp())
LANES = {"low": 10, "nominal": 50, "high": 90}
BAD_ROW = "abc,-120.5,311,1,1,2022-04-04,1200,T,50,6.1NRT,290,12,D"
"""Its latitude is no number."""

Key = tuple[tuple[Any, ...], int]
_NAMES = {"N": "S-NPP", "1": "NOAA-20", "N20": "NOAA-20", "T": "Terra", "A": "Aqua"}
_WORDS = {"l": "low", "n": "nominal", "h": "high"}


def row(number: int, *, brightness: str = "310.5", day: str = "2022-04-04") -> str:
    """One MODIS detection; its place and minute follow from its number, its lane too."""
    confidence = list(LANES.values())[number % 3]
    latitude, minute = f"{30 + number / 1000:.3f}", f"{number % 24 * 100 + number % 60}"
    return f"{latitude},-120.5,{brightness},1,1,{day},{minute},T,{confidence},6.1NRT,290.1,12.5,D"


def answer(*rows: str) -> bytes:
    """A FIRMS answer of these rows."""
    return "\n".join((HEADER, *rows, "")).encode()


def six_polls() -> list[bytes]:
    """A sliding window of detections, some revised, one bad row in all, one row too late."""
    late = row(9_999, day="2020-01-01")
    return [
        answer(
            *(
                row(n, brightness=f"{300 + p if n % 17 == 0 else 310}.5")
                for n in range(60 * p, 60 * p + 180)
            ),
            BAD_ROW,
            late,
        )
        for p in range(6)
    ]


@dataclass
class Expected:
    """What a read_committed consumer must find, each exactly once."""

    records: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    rejects: Counter[bytes] = field(default_factory=Counter)
    too_late: set[tuple[Any, ...]] = field(default_factory=set)


def expected(polls: Iterable[bytes], *, oldest_s: int = NOW_S - 366 * 86_400) -> Expected:
    """Every change of every detection in the order of the polls; bad rows once."""
    found = Expected()
    history: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for body in polls:
        lines = body.decode("ascii").splitlines()
        for line, cells in zip(lines[1:], csv.DictReader(io.StringIO(body.decode())), strict=True):
            try:
                key, content = natural(cells), said(cells)
            except InvalidOperation:
                found.rejects[line.encode()] = 1
                continue
            if key[2] < oldest_s:
                found.too_late.add(key)
                continue
            known = history.setdefault(key, [])
            if not known or known[-1] != content:
                known.append(content)
    for key, contents in history.items():
        found.records.update({(key, n): content for n, content in enumerate(contents)})
    return found


def natural(cells: dict[str, Any]) -> tuple[Any, ...]:
    """The identity of a row: what saw it, when and where."""
    moment = datetime.strptime(
        f"{cells['acq_date']} {int(cells['acq_time']):04d}", "%Y-%m-%d %H%M"
    ).replace(tzinfo=UTC)
    place = (Decimal(cells["latitude"]).normalize(), Decimal(cells["longitude"]).normalize())
    family = "VIIRS" if "bright_ti4" in cells else "MODIS"
    return (family, _NAMES[cells["satellite"]], int(moment.timestamp()), *place)


def said(cells: dict[str, Any]) -> tuple[Any, ...]:
    """What a row says beyond its identity, as a record says it."""
    viirs = "bright_ti4" in cells
    numbers = ("bright_ti4", "bright_ti5") if viirs else ("brightness", "bright_t31")
    return (
        *(float(Decimal(cells[name])) for name in (*numbers, "scan", "track", "frp")),
        _WORDS.get(cells["confidence"], cells["confidence"]) if viirs else int(cells["confidence"]),
        cells["daynight"],
        cells["version"],
    )


def natural_of(value: dict[str, Any]) -> tuple[Any, ...]:
    """The same identity out of a record that was delivered."""
    moment = datetime.fromisoformat(value["observed_at"])
    place = (Decimal(str(value["latitude"])), Decimal(str(value["longitude"])))
    return (
        value["instrument"],
        value["satellite"],
        int(moment.timestamp()),
        *(number.normalize() for number in place),
    )


def said_of(value: dict[str, Any]) -> tuple[Any, ...]:
    """The same content out of a record that was delivered."""
    viirs = value["instrument"] == "VIIRS"
    names = ("brightness_k", "brightness_t31_k", "scan_km", "track_km", "frp_mw")
    confidence = value["confidence"] if viirs else value["confidence_percent"]
    return (*(value[name] for name in names), confidence, value["daynight"], value["version"])


def distinct(polls: Sequence[bytes]) -> int:
    """How many records the polls hold, revisions counted."""
    return len(expected(polls).records)
