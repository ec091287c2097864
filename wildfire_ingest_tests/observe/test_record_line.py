"""A record is one line, whatever its value holds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.observe.record_line import (
    document_of,
    field_line,
    human_line,
    json_line,
    key_line,
)

NOON_MS = 1_767_225_600_000
FIRE = {
    "id": "f" * 32,
    "type": "fire_detection",
    "source_id": "firms",
    "observed_at": "2026-01-01T00:00:00Z",
    "revision": 0,
    "latitude": 1.5,
    "satellite": "Terra",
    "nothing": None,
    "place": {"country": "PT"},
}


def encoded(**changes):
    return json.dumps({**FIRE, **changes}).encode()


def test_a_human_reads_time_type_source_and_fields():
    assert human_line(encoded(), NOON_MS) == (
        "2026-01-01T00:00:00Z  fire_detection  firms  latitude=1.5 satellite=Terra"
    )


def test_a_revision_is_said_first():
    assert "  revision=2 latitude=1.5" in human_line(encoded(revision=2), NOON_MS)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "(no value)"), (b"1,2\n3", "1,2\\n3"), (b"\xff", "\ufffd"), (b"[" * 100_000, "[[[")],
)
def test_a_value_that_is_no_object_is_shown_by_its_beginning(value, words):
    line = human_line(value, NOON_MS)

    assert line.startswith(f"2026-01-01T00:00:00Z  {words}")
    assert len(line) < 200


def test_json_of_ours_is_printed_byte_by_byte():
    assert json_line(encoded()) == encoded().decode()
    assert json_line('{"name":"São Tomé"}'.encode()) == '{"name":"São Tomé"}'


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "null"),
        (b'{\n  "a": 1\n}', '{"a":1}'),
        ('{"a":"\u202e\U000e0001"}'.encode(), '{"a":"\\u202e\\udb40\\udc01"}'),
        (b"no\njson", '"no\\njson"'),
    ],
)
def test_other_json_is_one_line_that_means_the_same(value, line):
    assert json_line(value) == line


@given(st.one_of(st.none(), st.binary(), st.text().map(str.encode)))
def test_any_value_is_one_printable_line_and_valid_json(value):
    line = json_line(value)

    json.loads(line)
    assert line.isprintable()
    assert human_line(value, NOON_MS).isprintable()
    assert key_line(value).isprintable()


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers() | st.none(), st.lists)))
def test_any_object_keeps_its_meaning(document):
    value = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")

    assert json.loads(json_line(value)) == json.loads(value)
    assert human_line(value, -(1 << 62)).isprintable()


def test_fields_are_found_also_nested_ones():
    document = document_of(encoded())

    assert field_line(document, ["latitude", "place.country", "place", "no.thing"]) == (
        '1.5\tPT\t{"country":"PT"}\t'
    )
    assert field_line(None, ["latitude"]) == ""
