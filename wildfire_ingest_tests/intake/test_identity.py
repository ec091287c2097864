"""Ids are the same for ever, contents differ where the content does, values are what they say."""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.intake.identity import (
    Identified,
    ValueWriter,
    content_hash,
    content_of_value,
    identify,
    iso_seconds,
    record_id,
    reject_id,
    split_ids,
)
from wildfire_ingest.record import Body, Record


class Thing(Body, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    record_type: ClassVar[str] = "thing"
    schema_version: ClassVar[int] = 3

    name: str | None = None
    level: float | None = None


def hex_ids(found: Identified) -> list[str]:
    text = found.hex_ids.decode()
    return [text[at : at + 32] for at in range(0, len(text), 32)]


things = st.builds(
    Thing,
    name=st.none() | st.text(),
    level=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
records = st.builds(
    Record,
    st.binary(min_size=1, max_size=30),
    st.integers(0, 4_000_000_000),
    st.binary(max_size=8),
    things,
)


def test_an_id_is_the_one_that_was_written_to_kafka_before() -> None:
    """These digits are in users' topics: a change here sends everything again."""
    assert record_id("nasa_firms", b"N|2026-01-01T00:00:00Z|1.5|2.5").hex() == FIRST_ID
    assert reject_id("nasa_firms", b"1.5,2.5,oops").hex() == FIRST_REJECT


FIRST_ID = "8bdd59da26bcf9414619c75be483b01d"
FIRST_REJECT = "44ea4c110c39d798e7f86ce2ac3c0183"


def test_a_reject_is_never_the_record_of_the_same_bytes() -> None:
    assert record_id("a", b"x") != reject_id("a", b"x")


def test_types_do_not_share_ids() -> None:
    assert record_id("a", b"x") != record_id("b", b"x")


@given(st.lists(records, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_whole_answer_is_identified_as_its_rows_one_by_one(rows: list[Record]) -> None:
    found = identify("kind", rows)

    assert hex_ids(found) == [record_id("kind", r.natural_key).hex() for r in rows]
    assert found.hashes.tolist() == [
        content_hash(r.observed_at_s, msgspec.json.encode(r.body)) for r in rows
    ]
    assert found.observed_s.tolist() == [r.observed_at_s for r in rows]
    halves = zip(found.hi.tolist(), found.lo.tolist(), strict=True)
    assert [f"{hi:016x}{lo:016x}" for hi, lo in halves] == hex_ids(found)


@given(records, things, st.integers(0, 4_000_000_000))
@settings(max_examples=100, deadline=None)
def test_content_differs_where_body_or_time_differ(row: Record, body: Thing, at_s: int) -> None:
    other = Record(row.natural_key, at_s, row.partition_key, body)
    found = identify("kind", [row, other])

    alike = msgspec.json.encode(row.body) == msgspec.json.encode(body) and row.observed_at_s == at_s
    assert bool(found.hashes[0] == found.hashes[1]) is alike
    assert found.hex_ids[:32] == found.hex_ids[32:]


@given(records, st.text(min_size=1), st.integers(0, 4_000_000_000), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_a_value_is_the_envelope_and_the_body_in_one_flat_object(
    row: Record, source_id: str, now_s: int, revision: int
) -> None:
    found = identify("kind", [row])

    value = ValueWriter(source_id, now_s).write(found.hex_ids, row, found.contents[0], revision)

    assert json.loads(value) == {
        "id": found.hex_ids.decode(),
        "type": "thing",
        "source_id": source_id,
        "schema_version": 3,
        "observed_at": iso_seconds(row.observed_at_s).decode(),
        "ingested_at": iso_seconds(now_s).decode(),
        "revision": revision,
        **json.loads(msgspec.json.encode(row.body)),
    }
    assert content_of_value(value) == found.contents[0]


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    "name", ['"revision":7,', '\\"revision\\":7', "a,}b", ",}", "ü漢\u2028", "\0", ""]
)
def test_no_name_of_a_source_or_thing_hides_the_body(name: str, empty: bool) -> None:
    row = Record(b"k", 1, b"", Thing() if empty else Thing(name=name))
    found = identify("kind", [row])

    value = ValueWriter(name, 2).write(found.hex_ids, row, found.contents[0], 0)

    assert content_of_value(value) == found.contents[0]
    assert json.loads(value)["source_id"] == name


def test_times_are_iso_8601_in_utc() -> None:
    assert iso_seconds(0) == b"1970-01-01T00:00:00Z"
    assert iso_seconds(1_795_459_200) == b"2026-11-23T18:40:00Z"


def test_no_rows_have_no_ids() -> None:
    assert [len(column) for column in split_ids(b"")] == [0, 0]
    assert len(identify("kind", []).hashes) == 0
