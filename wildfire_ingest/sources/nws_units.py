"""What a measured value is in our units, by the unitCode that stands beside it.

Pure.  The API has changed its units without notice (m/s became km/h, m became mm), so a value
without a known unit is none.  A code is a unit of the WMO (`wmoUnit:`, earlier `unit:`), of UCUM
(`uc:`) or of NWS itself (`nwsUnit:`); the name after the prefix decides.
Source: https://codes.wmo.int/common/unit, https://api.weather.gov/openapi.json (UnitOfMeasure).
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["temperature", "speed", "length", "depth", "pressure", "percent", "angle"]
"""In degree Celsius, m/s, m, mm, Pa, per cent, degrees."""

LARGEST = 1e9
"""No instrument shows more in any unit; beyond it a number is nonsense."""

_DECIMALS = 6
"""Far below what is measured; so that one value in two units is one value."""

_KELVIN_AT_0_C = 273.15
_FOOT_M, _INCH_MM, _MILE_M, _KNOT_MS = 0.3048, 25.4, 1609.344, 1852 / 3600
_FAHRENHEIT = (5 / 9, -160 / 9)

_UNITS: dict[Kind, dict[str, tuple[float, float]]] = {
    "temperature": {
        **dict.fromkeys(("degC", "Cel"), (1.0, 0.0)),
        "K": (1.0, -_KELVIN_AT_0_C),
        **dict.fromkeys(("degF", "[degF]"), _FAHRENHEIT),
    },
    "speed": {
        **dict.fromkeys(("m_s-1", "m/s"), (1.0, 0.0)),
        **dict.fromkeys(("km_h-1", "km/h"), (1 / 3.6, 0.0)),
        **dict.fromkeys(("kt", "[kn_i]"), (_KNOT_MS, 0.0)),
        **dict.fromkeys(("mi_h-1", "[mi_i]/h", "mph"), (_MILE_M / 3600, 0.0)),
        **dict.fromkeys(("ft_s-1", "[ft_i]/s"), (_FOOT_M, 0.0)),
    },
    "length": {
        "m": (1.0, 0.0),
        "km": (1000.0, 0.0),
        "cm": (0.01, 0.0),
        "mm": (0.001, 0.0),
        **dict.fromkeys(("ft", "[ft_i]"), (_FOOT_M, 0.0)),
        **dict.fromkeys(("mi", "[mi_i]", "SM"), (_MILE_M, 0.0)),
        **dict.fromkeys(("nautical_mile", "[nmi_i]"), (1852.0, 0.0)),
    },
    "depth": {
        # A millimetre of water on a square metre is a kilogram.
        **dict.fromkeys(("mm", "kg_m-2"), (1.0, 0.0)),
        "cm": (10.0, 0.0),
        "m": (1000.0, 0.0),
        **dict.fromkeys(("in", "[in_i]"), (_INCH_MM, 0.0)),
    },
    "pressure": {
        "Pa": (1.0, 0.0),
        **dict.fromkeys(("hPa", "mbar"), (100.0, 0.0)),
        "kPa": (1000.0, 0.0),
        **dict.fromkeys(("inHg", "[in_i'Hg]"), (3386.389, 0.0)),
    },
    "percent": {**dict.fromkeys(("percent", "%"), (1.0, 0.0)), "1": (100.0, 0.0)},
    "angle": {
        **dict.fromkeys(("degree_(angle)", "degrees_true", "deg"), (1.0, 0.0)),
        "rad": (57.29577951308232, 0.0),
    },
}
"""Unit -> what to multiply with, and what to add then."""


def converted(value: float, unit_code: str | None, kind: Kind) -> float | None:
    """The value in the unit of its kind; None where the unit is not known."""
    factors = _UNITS[kind].get((unit_code or "").rpartition(":")[2])
    if factors is None:
        return None
    scale, shift = factors
    return round(value * scale + shift, _DECIMALS) + 0.0  # -0.0 becomes 0.0
