"""A value is converted by the unit beside it, and a value without a known unit is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.sources.nws_units import _UNITS, converted

KNOWN = [(kind, unit) for kind, units in _UNITS.items() for unit in units]
VALUES = st.floats(-1e6, 1e6)


def known(value, unit, kind):
    found = converted(value, unit, kind)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "unit", "kind", "expected"),
    [
        (21.1, "wmoUnit:degC", "temperature", 21.1),
        (32, "unit:degF", "temperature", 0.0),
        (-40, "degF", "temperature", -40.0),
        (273.15, "wmoUnit:K", "temperature", 0.0),
        (20, "uc:Cel", "temperature", 20.0),
        (36, "wmoUnit:km_h-1", "speed", 10.0),
        (5.1, "unit:m_s-1", "speed", 5.1),
        (10, "wmoUnit:kt", "speed", 5.144444),
        (1, "nwsUnit:mi_h-1", "speed", 0.44704),
        (10, "uc:[kn_i]", "speed", 5.144444),
        (16090, "wmoUnit:m", "length", 16090.0),
        (10, "wmoUnit:km", "length", 10000.0),
        (0.000254, "unit:m", "depth", 0.254),
        (0.254, "wmoUnit:mm", "depth", 0.254),
        (1, "unit:in", "depth", 25.4),
        (2.5, "wmoUnit:cm", "depth", 25.0),
        (1013.25, "wmoUnit:hPa", "pressure", 101325.0),
        (101325, "Pa", "pressure", 101325.0),
        (25.5, "wmoUnit:percent", "percent", 25.5),
        (250, "wmoUnit:degree_(angle)", "angle", 250.0),
        (-5.5999999999999996, "wmoUnit:degC", "temperature", -5.6),
    ],
)
def test_a_value_is_converted_by_its_unit_code(value, unit, kind, expected):
    assert converted(value, unit, kind) == expected


@pytest.mark.parametrize("unit", [None, "", "wmoUnit:", "wmoUnit:furlong", "degC:", "DEGC", "Pa"])
def test_a_unit_that_is_not_of_this_kind_makes_no_value(unit):
    assert converted(1.0, unit, "temperature") is None


@pytest.mark.parametrize(("kind", "unit"), KNOWN)
@given(low=VALUES, high=VALUES)
def test_a_conversion_keeps_the_order(kind, unit, low, high):
    low, high = sorted((low, high))

    assert known(low, unit, kind) <= known(high, unit, kind)


@pytest.mark.parametrize(("kind", "unit"), KNOWN)
@given(value=VALUES)
def test_a_conversion_can_be_taken_back(kind, unit, value):
    scale, shift = _UNITS[kind][unit]

    back = (Decimal(known(value, unit, kind)) - Decimal(shift)) / Decimal(scale)

    rounding = Decimal("1e-6") / Decimal(scale)
    assert abs(back - Decimal(value)) <= rounding + abs(Decimal(value)) * Decimal("1e-12")


@given(ms=st.floats(0, 100))
def test_a_speed_is_the_same_whatever_unit_the_api_chose(ms):
    found = {
        known(ms, "unit:m_s-1", "speed"),
        known(ms * 3.6, "wmoUnit:km_h-1", "speed"),
        known(ms * 3600 / 1852, "wmoUnit:kt", "speed"),
    }

    assert max(found) - min(found) <= 2e-6
