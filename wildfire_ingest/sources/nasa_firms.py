"""How one FIRMS product is polled and read: active fires of VIIRS and MODIS.

Pure.  Every poll asks for whole UTC days, the last hours again and again: rows come late (two
hours are usual) and out of order, so the newest time seen is no cursor.  The cursor is the time
of the last successful poll and decides only how many days to ask for; what was seen before is
for the index of ids to say.  Source: https://firms.modaps.eosdis.nasa.gov/api/.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from wildfire_ingest.errors import FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Decoded, Polled
from wildfire_ingest.sources import firms_request as ask
from wildfire_ingest.sources.firms_answer import named_error
from wildfire_ingest.sources.firms_csv import read_csv
from wildfire_ingest.sources.settings import FirmsSettings

__all__ = ["FirmsSettings", "NasaFirms"]

FEWEST_ROWS_WORLD = 500
"""The globe has thousands of rows a day; 77 were an outage of FIRMS' own (2022-06-29)."""

SHORTEST_KEY = 8
"""A MAP_KEY has 32 hexadecimal digits; a shorter word could be part of a row."""

_TEXT_DECIDES = (200, 400, 403)


class _Cursor(msgspec.Struct, frozen=True):
    polled_at_s: int


class NasaFirms:
    """One FIRMS product over one area.  Raises ConfigError for settings that cannot work."""

    source_type = "nasa_firms"

    def __init__(self, settings: FirmsSettings) -> None:
        ask.check(settings)
        self._settings = settings

    @property
    def source_id(self) -> str:
        return self._settings.source_id

    @property
    def window_s(self) -> int:
        """The API serves 5 days and a static file up to 7: two or three more for late rows."""
        if self._settings.window_s is not None:
            return self._settings.window_s
        longest = self._settings.feed == "static" and self._settings.static_span == "7d"
        return (10 if longest else 8) * ask.DAY_S

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        now_s = now_us // ask.SECOND_US
        last_s = _last_poll(cursor, now_s)
        days = ask.days_to_ask(self._settings, last_s, now_s)
        try:
            answer = yield ask.request(self._settings, days)
        except FetchError as refused:
            # FIRMS says 400 for a bad key and for a spent quota alike; only its text tells.
            named = named_error(refused.sample) if refused.status in _TEXT_DECIDES else None
            if named is None:
                raise
            named.status, named.sample = refused.status, refused.sample
            raise named from refused
        decoded = Decoded([], []) if answer.not_modified else self.read(answer.body)
        if not answer.not_modified:
            decoded = self._with_notes(decoded, days, last_s, now_s)
        polled_at_s = max(now_s, last_s) if last_s is not None else now_s
        return Polled(decoded, msgspec.json.encode(_Cursor(polled_at_s)))

    def read(self, body: bytes) -> Decoded:
        return read_csv(self._without_key(body))

    def _without_key(self, body: bytes) -> bytes:
        """A server may echo the request's address, and the key is part of it."""
        key = self._settings.map_key.reveal() if self._settings.map_key is not None else ""
        return body.replace(key.encode(), b"[MAP_KEY]") if len(key) >= SHORTEST_KEY else body

    def _with_notes(self, decoded: Decoded, days: int, last_s: int | None, now_s: int) -> Decoded:
        notes = [*decoded.notes]
        if self._is_worldwide() and days > 1 and decoded.rows < FEWEST_ROWS_WORLD:
            notes.append(
                f"only {decoded.rows} rows for the whole world: expected thousands;"
                " FIRMS itself may have an outage"
            )
        unasked_s = now_s - last_s - ask.MAX_DAYS * ask.DAY_S if last_s is not None else 0
        if unasked_s > 0 and self._settings.feed == "api":
            notes.append(
                f"the last poll was {(now_s - (last_s or 0)) // ask.DAY_S} days ago and the API"
                f" serves {ask.MAX_DAYS}: the days between are missing"
            )
        return Decoded(decoded.records, decoded.rejects, decoded.filtered, tuple(notes))

    def _is_worldwide(self) -> bool:
        if self._settings.feed == "static":
            return self._settings.static_region == "Global"
        return self._settings.area == "world"


def _last_poll(cursor: bytes | None, now_s: int) -> int | None:
    """When the last successful poll was; an unreadable cursor counts as a long outage."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursor, type=_Cursor).polled_at_s
    except msgspec.DecodeError:
        return now_s - ask.MAX_DAYS * ask.DAY_S
