"""A load comes out of its bytes as it went in, and damaged bytes are no load."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.intake.load import (
    ID_ROW,
    Rows,
    chain,
    digest_of,
    id_headers,
    pack,
    readdress,
    unpack,
)
from wildfire_ingest.record import DeadLetter, Lane

letters = st.builds(
    DeadLetter, st.text(), st.text(), st.sampled_from(["decode", "client"]), st.text(), st.just(7)
)


@st.composite
def load_rows(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(1, 8))
    names = st.sampled_from(["wildfire-a", "wildfire-b", "wildfire-ü", "c" * 249])

    def column(of: st.SearchStrategy[object]) -> list[Any]:
        return draw(st.lists(of, min_size=n, max_size=n))

    ids = np.zeros(n, ID_ROW)
    for name, top in (("hi", 2**64 - 1), ("lo", 2**64 - 1), ("hash", 2**64 - 1)):
        ids[name] = column(st.integers(0, top))
    ids["observed_s"] = column(st.integers(-(2**40), 2**40))
    ids["revision"] = column(st.integers(0, 2**32 - 1))
    dead = draw(st.dictionaries(st.integers(0, n - 1), letters, max_size=n))
    return Rows(
        column(names),
        column(st.sampled_from(["fire", "air"])),
        column(st.binary(max_size=20)),
        column(st.binary(max_size=50)),
        ids,
        dead,
    )


@given(load_rows(), st.sampled_from(list(Lane)))
@settings(max_examples=150, deadline=None)
def test_what_is_packed_comes_out(rows: Rows, lane: Lane) -> None:
    packed = pack(lane, rows)

    out = unpack(lane, 7, b"sha", packed.ids, packed.payload)

    assert (out.lane, out.seq, out.sha256, len(out)) == (lane, 7, b"sha", len(rows))
    assert list(out.topics) == rows.topics
    assert [t.decode() for t in out.types] == rows.types
    assert (list(out.keys), list(out.values)) == (rows.keys, rows.values)
    assert list(out.observed_at_s) == rows.ids["observed_s"].tolist()
    assert out.dead == rows.dead
    assert (packed.n, packed.dead) == (len(rows), len(rows.dead))
    assert set(packed.topics) == set(rows.topics)
    assert packed.newest_observed_s == max(out.observed_at_s)


@given(load_rows())
@settings(max_examples=50, deadline=None)
def test_ids_are_32_digits_and_the_revision(rows: Rows) -> None:
    for row, header in zip(rows.ids, id_headers(rows.ids), strict=True):
        digits, revision = header.split(b".")
        assert int(digits, 16) == (int(row["hi"]) << 64) + int(row["lo"])
        assert (len(digits), int(revision)) == (32, int(row["revision"]))


@pytest.mark.parametrize("n", [256, 257, 65_536])
def test_one_load_goes_to_many_topics_and_has_many_types(n: int) -> None:
    ids = np.zeros(n, ID_ROW)
    names = [f"topic-{i}" for i in range(n)]

    packed = pack(Lane.LOW, Rows(names, names[::-1], [b""] * n, [b""] * n, ids, {}))

    out = unpack(Lane.LOW, 1, b"", packed.ids, packed.payload)
    assert list(out.topics) == names
    assert [name.decode() for name in out.types] == names[::-1]


@given(load_rows(), st.data())
@settings(max_examples=50, deadline=None)
def test_one_changed_byte_changes_the_digest(rows: Rows, data: st.DataObject) -> None:
    packed = pack(Lane.LOW, rows)
    at = data.draw(st.integers(0, len(packed.payload) - 1))
    damaged = bytearray(packed.payload)
    damaged[at] ^= 1

    assert digest_of(packed.ids, bytes(damaged)) != digest_of(packed.ids, packed.payload)


def test_bytes_that_are_no_load_are_refused() -> None:
    with pytest.raises(SpoolCorrupt, match="WFL1"):
        unpack(Lane.LOW, 1, b"", b"", b"\0\0\0\0rest")


def test_rows_readdressed_keep_their_bytes_and_ids() -> None:
    ids = np.zeros(3, ID_ROW)
    packed = pack(Lane.LOW, Rows(["t"] * 3, ["x"] * 3, [b"k"] * 3, [b"1", b"2", b"3"], ids, {}))
    out = unpack(Lane.LOW, 1, b"", packed.ids, packed.payload)
    letter = DeadLetter("too odd", "refused", "broker", "t", 1)

    changed = readdress(out, {1: letter}, "dlq")

    assert (list(changed.topics), changed.dead) == (["t", "dlq", "t"], {1: letter})
    assert (changed.values, changed.ids, changed.keys) == (out.values, out.ids, out.keys)


def test_two_lanes_that_went_apart_have_different_chains() -> None:
    a, b = digest_of(b"", b"a"), digest_of(b"", b"b")

    assert chain(chain(b"\0" * 32, a), b) != chain(chain(b"\0" * 32, b), a)
