"""VTEC, times and geometries: what is one is read, anything else is none, and nothing raises."""

import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.sources.geojson_geometry import Geometry, read_geometry
from wildfire_ingest.sources.utc_time import read_time, shown
from wildfire_ingest.sources.vtec import Vtec, read_vtec
from wildfire_ingest_tests.sources.alerts import CODE, alerts, collection, feature

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-500, 500)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def test_a_vtec_says_who_what_and_when():
    code = read_vtec(CODE)

    assert code == Vtec(
        text=CODE,
        product="O",
        action="NEW",
        office="KSTO",
        phenomenon="FW",
        significance="W",
        number=7,
        begins="2026-05-14T18:00:00Z",
        ends="2026-05-15T22:00:00Z",
    )


def test_zeros_are_no_time():
    code = read_vtec("/O.CON.KSEW.FL.W.0044.000000T0000Z-000000T0000Z/")

    assert code is not None
    assert (code.begins, code.ends) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/KSTO1.1.ER.260514T1800Z.260515T2200Z.000000T0000Z.NO/",
        CODE[1:],
        CODE + CODE,
        CODE.replace("260514", "261332"),
        CODE.replace("T1800", "T2460"),
        CODE.replace("0007", "\u0660\u0660\u0660\u0667"),
        CODE.replace("KSTO", "ksto"),
        CODE + " " * 200,
    ],
)
def test_what_is_no_vtec_is_none(text):
    assert read_vtec(text) is None


SPICE = st.sampled_from(["/O.", ".", "KSTO", "000000T0000Z", "-", "Z/", "0", "\n", "\u0660", CODE])


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.lists(SPICE, max_size=9).map("".join))
def test_any_text_is_a_vtec_or_none(text):
    found = read_vtec(text)

    assert found is None or TIME.fullmatch(found.ends or "2000-01-01T00:00:00Z")


@settings(max_examples=100, deadline=None)
@given(
    st.integers(31_536_000, 4_102_000_000).map(lambda at_s: datetime.fromtimestamp(at_s, UTC)),
    st.integers(-14 * 4, 14 * 4),
)
def test_a_time_of_any_offset_is_the_same_moment(moment, quarters):
    hours, minutes = divmod(abs(quarters) * 15, 60)
    sign = "-" if quarters < 0 else "+"
    local = datetime.fromtimestamp(moment.timestamp() + quarters * 900, UTC)
    text = local.replace(tzinfo=None).isoformat() + f"{sign}{hours:02d}:{minutes:02d}"

    found = read_time(text)

    assert found == moment
    assert TIME.fullmatch(shown(moment))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "date:now +10 minutes",
        "2026-05-14",
        "2026-05-14T16:25:00",
        "20260514T162500Z",
        "2026-W20-4T16:25:00Z",
        "2026-05-14T16:25:61Z",
        "2026-05-14 16:25:00Z",
        "2026-05-14T16:25:00+24:00",
        "0001-01-01T00:00:00+14:00",
        "\u0662\u0660\u0662\u0666-05-14T16:25:00Z",
    ],
)
def test_what_is_no_time_is_none(text):
    assert read_time(text) is None


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(text):
    found = read_time(text)

    assert found is None or found.tzinfo is UTC


@settings(max_examples=200, deadline=None)
@given(
    JSON
    | st.builds(
        lambda kind, inner: {"type": kind, "coordinates": inner},
        st.sampled_from(["Point", "MultiPoint", "Polygon", "MultiPolygon"]),
        JSON | st.lists(st.lists(st.lists(st.floats(-200, 200), max_size=4), max_size=4)),
    )
)
def test_any_json_is_a_geometry_or_none(value):
    found = read_geometry(value)

    assert found is None or isinstance(found, Geometry)
    msgspec.json.encode(found)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body):
    try:
        alerts().read(body)
    except AnswerRefused:
        return


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=4), st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_every_feature_is_a_record_or_a_reject_and_good_neighbours_stay(strange, extra):
    good = feature(1)

    decoded = alerts().read(collection(good, *strange, feature(2, **{**extra, "id": "x"}), good))

    assert decoded.rows == 3 + len(strange)
    assert decoded.records.count(alerts().read(collection(good)).records[0]) == 2


KEYS = st.sampled_from([*feature()["properties"], "geometry"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_an_alert_with_any_values_is_a_record_that_can_be_written_or_a_reject(wrong):
    geometry = wrong.pop("geometry", None)
    one = feature(1)
    one["properties"] |= wrong
    one["geometry"] = geometry

    decoded = alerts().read(collection(one))

    assert decoded.rows == 1
    assert all(msgspec.json.encode(record.body) for record in decoded.records)
    assert all(reject.reason.isprintable() for reject in decoded.rejects)


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_nesting_refuses_the_answer_or_the_feature_and_crashes_nothing(depth):
    nest = b"[" * depth + b"]" * depth
    body = collection(feature(1)).replace(b'"features": [', b'"features": [' + nest + b", ")

    try:
        decoded = alerts().read(body)
    except AnswerRefused:
        return

    assert (len(decoded.records), len(decoded.rejects)) == (1, 1)
