"""A 200 is not a successful poll: each thing FIRMS or somebody in between says has its meaning."""

import pytest

from wildfire_ingest.errors import AnswerRefused, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Secret
from wildfire_ingest.sources.firms_csv import read_csv
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"Invalid MAP_KEY.", "MAP_KEY"),
        (b"Invalid day range. Expects [1..5].", "day_range"),
        (b"Invalid area coordinate. Expects: [-180..180].", "area"),
        (b"Invalid API call.", "base_url"),
        (b"Invalid day range. Expects [1..5].\nInvalid area coordinate.\n", "day_range"),
        (b"\n  invalid map_key.", "MAP_KEY"),
    ],
)
def test_a_named_error_is_permanent_and_says_what_to_change(text, told):
    with pytest.raises(SourceRejected, match=told) as raised:
        read_csv(text)

    assert not raised.value.retriable


@pytest.mark.parametrize(
    "text",
    [
        b"MAP_KEY is invalid or your have exceeded your transaction/time limit. Please try",
        b"Exceeding allowed transaction limit.",
    ],
)
def test_a_spent_quota_passes_in_minutes(text):
    with pytest.raises(SourceUnavailable) as raised:
        read_csv(text)

    assert (raised.value.retry_after_s or 0) >= 60


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"<!DOCTYPE html><html>Access Denied</html>", "HTML"),
        (b'{"login": "https://portal.example"}', "JSON"),
        (b"Service temporarily out", "another text"),
        ("latitude,longitude".encode("utf-16"), "another text"),
        (b"\x1f\x8b\x08\0\0\0", "another text"),
        (b"latitude," * 5_000, "another text"),
        (b"latitude,longitude,bright_ti4\n", "lacks"),
    ],
)
def test_a_body_that_is_no_firms_answer_is_refused(body, told):
    with pytest.raises(AnswerRefused, match=told) as raised:
        read_csv(body)

    assert raised.value.retriable


@pytest.mark.parametrize("page", ["<html>GET /api/area/csv/{}/X</html>", "latitude,{}\n", "{}\n"])
def test_a_key_that_the_server_echoes_is_neither_in_text_nor_in_sample(page):
    source = NasaFirms(FirmsSettings(source_id="firms", map_key=Secret(KEY)))

    with pytest.raises(AnswerRefused) as raised:
        source.read(page.format(KEY).encode())

    assert KEY not in str(raised.value) + raised.value.sample


def test_a_key_in_a_row_is_not_kept_with_the_reject():
    source = NasaFirms(FirmsSettings(source_id="firms", map_key=Secret(KEY)))
    header = (
        "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,"
        "confidence,version,bright_ti5,frp,daynight\n"
    )

    (reject,) = source.read((header + f"error for {KEY}\n").encode()).rejects

    assert KEY.encode() not in reject.raw
