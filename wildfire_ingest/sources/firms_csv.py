"""Which records and rejects the rows of one FIRMS CSV are.

Pure.  A row is a line: FIRMS quotes nothing, so one bad row cannot swallow its neighbours.  A row
without blemish takes the short cut (no regular expression, no dict, no date arithmetic); any
other is read again with care, by firms_row, which says what is wrong with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from operator import itemgetter

import msgspec

from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.record import Decoded, Record, Reject
from wildfire_ingest.sources.fire_detection import CONFIDENCES, DayNight, FireDetection
from wildfire_ingest.sources.firms_answer import refusal
from wildfire_ingest.sources.firms_layout import Layout, layout, looks_like_header
from wildfire_ingest.sources.firms_row import (
    HIGHEST_K,
    HIGHEST_MW,
    LARGEST_PIXEL_KM,
    LOWEST_K,
    LOWEST_MW,
    BadRow,
    Moment,
    make_record,
    moment,
    read_row,
    version,
)

MAX_ROW_BYTES = 65_536
"""A real row has 100; of a longer one so much is kept as its raw text."""
MAX_REJECTS = 100_000
"""More bad rows than any real answer has rows: the body is something else."""

_BOM = b"\xef\xbb\xbf"
_PLAIN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,-\r\n"
"""Bytes of a row without blemish.  float() also takes `1_0`, blanks and other scripts' digits."""
_DAYNIGHT: dict[bytes, DayNight] = {b"D": "D", b"N": "N"}

ReadLine = Callable[[bytes], Record]


def read_csv(body: bytes) -> Decoded:
    """Read one answer.  Raises FetchError where the body as a whole is no answer."""
    body = body.removeprefix(_BOM)
    header, _, rows = body.partition(b"\n")
    header = header.rstrip(b"\r")
    if not looks_like_header(header):
        raise refusal(body)
    form = layout(header)
    _refuse_truncated(form, rows)
    read_line = _short_cut(form) if not rows.translate(None, _PLAIN) else _guarded(form)
    return _read_rows(form, rows, read_line)


def _refuse_truncated(form: Layout, rows: bytes) -> None:
    """FIRMS ends every row with a line feed; a last row that stops early was cut on its way."""
    if not rows or rows.endswith(b"\n"):
        return
    last = rows[rows.rfind(b"\n") + 1 :].rstrip()
    if last and (last.count(b",") + 1 < form.columns or last.endswith(b",")):
        raise AnswerRefused(
            f"the body is truncated: its last row has {last.count(b',') + 1} of {form.columns}"
            " columns and no line end",
            sample=last[:200].decode("utf-8", "backslashreplace"),
        )


def _read_rows(form: Layout, rows: bytes, read_line: ReadLine) -> Decoded:
    records: list[Record] = []
    rejects: list[Reject] = []
    blank = 0
    for line in io.BytesIO(rows):
        try:
            records.append(read_line(line))
        except (ValueError, KeyError):
            row = line.rstrip(b"\r\n")
            verdict = _examined(form, row) if row.strip() else None
            if isinstance(verdict, Record):
                records.append(verdict)
            elif isinstance(verdict, Reject):
                rejects.append(verdict)
            else:
                blank += 1
            if len(rejects) + blank > MAX_REJECTS:
                why = rejects[0].reason if rejects else "a blank line"
                raise AnswerRefused(
                    f"more than {MAX_REJECTS:,} lines cannot be read, first: {why}"
                ) from None
    return Decoded(records, rejects, notes=form.notes)


def _examined(form: Layout, row: bytes) -> Record | Reject:
    """The careful reading of a row that the short cut would not take."""
    if len(row) > MAX_ROW_BYTES:
        reason = (
            f"a row of {len(row):,} bytes: expected about 100; the first {MAX_ROW_BYTES:,} kept"
        )
        return Reject(row[:MAX_ROW_BYTES], reason, "oversized_row")
    try:
        return read_row(form, row)
    except BadRow as bad:
        return Reject(row, bad.reason, bad.error_class)


def _guarded(form: Layout) -> ReadLine:
    """The short cut for a body in which some byte is unusual: only for the lines without one."""
    read_line = _short_cut(form)

    def read(line: bytes) -> Record:
        if line.translate(None, _PLAIN):
            raise ValueError
        return read_line(line)

    return read


def _short_cut(form: Layout) -> ReadLine:
    """A reader of rows in plain bytes.  Raises ValueError or KeyError for all that needs care."""
    numbers, words = itemgetter(*form.positions[:7]), itemgetter(*form.positions[7:])
    family, columns, instrument = form.family, form.columns, form.instrument
    family_bytes, confidences = form.family.encode(), CONFIDENCES[form.family]
    floats = msgspec.json.Decoder(list[float]).decode
    moments: dict[tuple[bytes, bytes, bytes], Moment] = {}
    versions: dict[bytes, str] = {}

    def read(line: bytes) -> Record:
        cells = line.rstrip(b"\r\n").split(b",", columns)
        if len(cells) != columns or len(line) > MAX_ROW_BYTES:
            raise ValueError
        if instrument is not None and cells[instrument] != family_bytes:
            raise ValueError
        day, minute, sat, conf, ver, dn = words(cells)
        # All seven at once: four times as fast as float() of each, and as exact.
        y, x, k, k2, across, along, power = floats(b"[%b]" % b",".join(numbers(cells)))
        y, x = y + 0.0, x + 0.0
        if not (
            -90.0 <= y <= 90.0  # noqa: PLR2004 - degrees
            and -180.0 <= x <= 180.0  # noqa: PLR2004 - degrees
            and LOWEST_K <= k <= HIGHEST_K
            and LOWEST_K <= k2 <= HIGHEST_K
            and 0.0 <= across <= LARGEST_PIXEL_KM
            and 0.0 <= along <= LARGEST_PIXEL_KM
            and LOWEST_MW <= power <= HIGHEST_MW
        ):
            raise ValueError
        at = moments.get((day, minute, sat))
        if at is None:
            at = moments[day, minute, sat] = moment(family, day, minute, sat)
        processed = versions.get(ver) or versions.setdefault(ver, version(ver))
        level, percent = confidences[conf]
        seen = (across, along, power, _DAYNIGHT[dn], processed)
        body = FireDetection(y, x, at.satellite, family, level, percent, k, k2, *seen)
        return make_record(at, y, x, body)

    return read
