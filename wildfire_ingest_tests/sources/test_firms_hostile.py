"""No body, however hostile, crashes the reader, loses a row or changes a good neighbour."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.errors import FetchError
from wildfire_ingest.record import Record
from wildfire_ingest.sources.firms_csv import read_csv
from wildfire_ingest.sources.firms_layout import layout
from wildfire_ingest.sources.firms_row import BadRow, read_row

HEADER = (
    b"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,"
    b"confidence,version,bright_ti5,frp,daynight"
)
GOOD = b"50.50677,-120.79179,330.73,0.4,0.37,2025-04-03,2055,N,VIIRS,n,2.0NRT,288.08,3.59,D"

SPICE = st.sampled_from(
    [
        *rb'-,.,nan,1e5,-0.0,",0 , ,=1+1,1_0,-9999,N,n,D,VIIRS,2.0NRT,0005,300,45.5'.split(b","),
        *(b"", b"\0", b"\xff\xfe", b"2025-04-03"),
    ]
)
CELLS = st.one_of(SPICE, st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")))


@st.composite
def nearly_good(draw):
    """A good row with up to three cells replaced: the neighbourhood of what is accepted."""
    cells = GOOD.split(b",")
    for _ in range(draw(st.integers(0, 3))):
        cells[draw(st.integers(0, len(cells) - 1))] = draw(CELLS)
    return b",".join(cells)


def careful(line):
    try:
        return read_row(layout(HEADER), line)
    except BadRow as bad:
        return bad.error_class


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body):
    with suppress(FetchError):
        read_csv(body)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(nearly_good(), st.binary(max_size=80)), max_size=6))
def test_every_row_is_a_record_or_a_reject_and_good_neighbours_stay(rows):
    lines = [row.replace(b"\n", b"") for row in rows]
    body = b"\n".join([HEADER, GOOD, *lines, GOOD]) + b"\n"

    decoded = read_csv(body)

    assert decoded.rows == 2 + sum(bool(line.rstrip(b"\r").strip()) for line in lines)
    assert decoded.records[0] == decoded.records[-1] == careful(GOOD)


@settings(max_examples=400, deadline=None)
@given(nearly_good())
def test_the_short_cut_reads_exactly_what_the_careful_reading_reads(line):
    line = line.rstrip(b"\r")

    decoded = read_csv(HEADER + b"\n" + line + b"\n" + GOOD + b"\n")

    expected = careful(line)
    if isinstance(expected, Record):
        assert decoded.records == [expected, careful(GOOD)]
    else:
        assert [reject.error_class for reject in decoded.rejects] == [expected]


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-90, 90).map(lambda value: f"{value:.5f}"),
    st.floats(-180, 180).map(lambda value: f"{value:.5f}"),
    st.integers(0, 6),
)
def test_trailing_zeros_never_change_a_key(latitude, longitude, zeros):
    cells = GOOD.decode().split(",")
    long = [latitude + "0" * zeros, longitude + "0" * zeros, *cells[2:]]
    short = [latitude.rstrip("0").rstrip("."), longitude.rstrip("0").rstrip("."), *cells[2:]]

    body = "\n".join([HEADER.decode(), ",".join(long), ",".join(short)]) + "\n"
    first, second = read_csv(body.encode()).records

    assert first == second
