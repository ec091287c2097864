"""Whether a GeoJSON geometry can be drawn: its type, the depth of its lists, finite degrees.

Pure, and total: any JSON value is a Geometry or None.  Degrees WGS 84, longitude first.
Source: RFC 7946, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from msgspec import Meta, Struct

MAX_POSITIONS = 10_000
"""A warning's polygon has at most 20; so many are 300 kB of JSON, below Kafka's limit."""

Kind = Literal["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]
_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""How many lists stand around a position."""
_ORDINATES = (2, 3)
_MAX_LON, _MAX_LAT = 180, 90


class Geometry(Struct, frozen=True, gc=False):
    """A GeoJSON geometry, as it was given."""

    type: Annotated[Kind, Meta(description="The kind of geometry.")]
    coordinates: Annotated[
        list[Any], Meta(description="Positions [longitude, latitude], nested as RFC 7946 says.")
    ]


def read_geometry(value: object) -> Geometry | None:
    """The geometry that a JSON value is; None where it is none or too large to be sent."""
    if not isinstance(value, dict):
        return None
    kind, coordinates = value.get("type"), value.get("coordinates")
    depth = _DEPTHS.get(kind) if isinstance(kind, str) else None
    if depth is None or not isinstance(coordinates, list):
        return None
    positions = 0
    for position in _positions(coordinates, depth):
        positions += 1
        if positions > MAX_POSITIONS or not _is_position(position):
            return None
    return Geometry(cast("Kind", kind), coordinates) if positions else None


def _positions(value: object, depth: int) -> Iterator[object]:
    """What stands where positions should; a list that is missing comes out as itself."""
    if depth == 0 or not isinstance(value, list):
        yield value
        return
    if not value:
        yield None
    for part in value:
        yield from _positions(part, depth - 1)


def _is_position(value: object) -> bool:
    if not isinstance(value, list) or len(value) not in _ORDINATES:
        return False
    if not all(type(number) in (int, float) and math.isfinite(number) for number in value):
        return False
    return bool(abs(value[0]) <= _MAX_LON and abs(value[1]) <= _MAX_LAT)
