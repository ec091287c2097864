"""A 200 is not yet an answer; an answer is not refused for a harmless oddity."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest.fetch.answer import check_body, meaning, sample_of, unpack
from wildfire_ingest_tests.fetch.loopback import reply

ROWS = b"latitude,longitude\n1.0,2.0\n"
ASK = Request("/fires.csv")
MIB = 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>",
        b"\n\n  <HTML><body>Sign in",
        b"\xef\xbb\xbf<html>",
        b"<Error><Code>AccessDenied</Code></Error>",
        b"",
        b" \r\n ",
        b"\xff\xfel\x00a\x00",
    ],
)
@pytest.mark.parametrize("content_type", ["text/csv", "text/html"])
def test_a_200_that_is_no_answer_is_refused(server, make_client, body, content_type):
    server.answers(reply(body, "200 OK", f"Content-Type: {content_type}"))

    with pytest.raises(AnswerRefused):
        make_client().fetch(ASK)

    assert len(server.requests) == 1


def test_the_content_type_of_an_answer_does_not_matter(server, make_client):
    server.answers(reply(ROWS, "200 OK", "Content-Type: text/html"))

    assert make_client().fetch(ASK).body == ROWS


def test_a_byte_order_mark_is_taken_off(server, make_client):
    server.answers(reply(b"\xef\xbb\xbf" + ROWS))

    assert make_client().fetch(ASK).body == ROWS


def test_binary_is_left_as_it_is():
    assert check_body("x", "binary", b"\xff\xfe<data", ()) == b"\xff\xfe<data"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate"])
def test_what_was_asked_for_is_unpacked(server, make_client, encoding):
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "deflate": zlib.compress(ROWS),
        "raw deflate": raw.compress(ROWS) + raw.flush(),
    }.get(encoding, gzip.compress(ROWS))
    server.answers(reply(packed, "200 OK", f"Content-Encoding: {encoding.split()[-1]}"))

    assert make_client().fetch(ASK).body == ROWS


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "compress"])
def test_an_encoding_that_was_not_asked_for_is_refused(server, make_client, encoding):
    server.answers(reply(gzip.compress(ROWS), "200 OK", f"Content-Encoding: {encoding}"))

    with pytest.raises(AnswerRefused, match="Content-Encoding"):
        make_client().fetch(ASK)


def test_a_gzip_bomb_is_refused_in_little_memory(server, make_client):
    server.answers(reply(gzip.compress(b"\0" * (60 * MIB)), "200 OK", "Content-Encoding: gzip"))
    client = make_client()
    tracemalloc.start()
    try:
        with pytest.raises(AnswerRefused, match="bomb"):
            client.fetch(ASK)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 32 * MIB


def test_a_plain_body_over_the_cap_is_refused():
    with pytest.raises(AnswerRefused, match="over 10 bytes"):
        unpack("x", "gzip", gzip.compress(ROWS), 10)


@pytest.mark.parametrize("cut", [1, 4, 9, 12])
def test_a_cut_gzip_body_is_refused(cut):
    with pytest.raises(AnswerRefused):
        unpack("x", "gzip", gzip.compress(ROWS)[:-cut], MIB)


def test_a_swarm_of_gzip_members_is_refused():
    with pytest.raises(AnswerRefused, match="members"):
        unpack("x", "gzip", gzip.compress(b"") * 5000, MIB)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(0, 20))
def test_gzip_members_and_padding_unpack_to_their_sum(parts, zeros):
    packed = b"".join(gzip.compress(part) for part in parts) + b"\0" * zeros

    assert unpack("x", "gzip", packed, MIB) == b"".join(parts)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_body_is_unpacked_or_refused(body, encoding):
    with suppress(AnswerRefused):
        assert isinstance(unpack("x", encoding, body, MIB), bytes)


def test_a_large_answer_passes_every_size_of_piece():
    plain = b"".join(b"%d,%d\n" % (n, n * 7919) for n in range(300_000))

    assert unpack("x", "gzip", gzip.compress(plain), 64 * MIB) == plain


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (200, "answer"), (204, "refused"), (206, "refused"), (301, "redirect"),
        (304, "not_modified"), (400, "rejected"), (402, "rejected"), (404, "rejected"),
        (408, "later"), (425, "later"), (429, "later"), (500, "later"), (599, "later"),
        (600, "refused"), (300, "refused"),
    ],
)  # fmt: skip
def test_every_status_has_one_meaning(status, found):
    assert meaning(status) == found


@given(st.binary(max_size=1000))
def test_a_sample_is_one_short_line_of_printable_text(body):
    sample = sample_of(body, [Secret("canary key")])

    assert len(sample) <= 200
    assert sample.isascii()
    assert sample.isprintable()


@given(st.integers(0, 400), st.text("ab%+ /", min_size=8, max_size=300))
def test_no_part_of_a_secret_reaches_a_sample(before, value):
    secret = "KEY%" + value
    body = b"." * before + (secret * 20).encode()

    assert "KEY%" not in sample_of(body, [Secret(secret)])
