"""What to ask NWS for its alerts: those in force, and those of a time that we missed.

Pure.  Times are seconds since the epoch, UTC.  The requests of a poll follow from settings and
cursor alone, so that the same poll tried again asks the same.
Source: https://api.weather.gov/openapi.json (alerts_active, alerts_query); NWS asks for no more
than one request of the list in 30 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from wildfire_ingest.errors import ConfigError
from wildfire_ingest.exchange import Request
from wildfire_ingest.sources.nws_answer import ACCEPT, FeatureList
from wildfire_ingest.sources.settings import NwsAlertsSettings
from wildfire_ingest.sources.utc_time import utc_minute

ACTIVE, ALL = "/alerts/active", "/alerts"

OUTAGE_S = 600
"""After a longer silence of ours alerts may have come and gone unseen."""
LATENESS_S = 600
"""An alert is published a little after its time of sending: so much before the last poll too."""
KEPT_S = 7 * 86_400
"""NWS keeps the alerts of so long."""
ZONES_PER_REQUEST = 100
"""An address of 700 characters; every server takes 2,000."""
MAX_PAGES = 200
"""Of one missed time; the whole country's week is about 40."""

_STATE = re.compile(r"[A-Z]{2}")
_ZONE = re.compile(r"[A-Z]{2}[CZ][0-9]{3}")
_MAX_URL_CHARS = 2000


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the next poll must know."""

    polled_at_s: int
    """When the alerts in force were last read."""
    missed_since_s: int | None = None
    """From when on alerts may be missing that have not been asked for yet."""
    place: int = 0
    """Which of the addresses of the missed alerts is next …"""
    page: str = ""
    """… and where its list goes on: the API's own cursor."""
    pages: int = 0
    """How many pages of them were read."""
    missed_next: bool = False
    """The pace allows one request a poll, and the next is for the missed ones."""


def check(settings: NwsAlertsSettings) -> None:
    """Raises ConfigError where these settings can make no request."""
    if settings.state is not None and not _STATE.fullmatch(settings.state):
        raise ConfigError(
            f"source {settings.source_id}: state {settings.state!r}: expected two letters, e.g. CA"
        )
    for zone in settings.zones:
        if not _ZONE.fullmatch(zone):
            raise ConfigError(
                f"source {settings.source_id}: zone {zone!r}: expected like CAZ041 (a zone) or"
                " CAC067 (a county)"
            )


def active(settings: NwsAlertsSettings) -> list[str]:
    """The addresses of the alerts in force; several where the zones do not fit into one."""
    return [f"{ACTIVE}?{where}" if where else ACTIVE for where in _places(settings)]


def missed(settings: NwsAlertsSettings, since_s: int) -> list[str]:
    """The addresses of all alerts sent since then."""
    start = utc_minute(since_s - LATENESS_S)
    return [
        f"{ALL}?start={start}&{where}" if where else f"{ALL}?start={start}"
        for where in _places(settings)
    ]


def _places(settings: NwsAlertsSettings) -> Iterator[str]:
    """Zones, where there are any, in place of the state: NWS takes one or the other."""
    zones = list(dict.fromkeys(settings.zones))
    for first in range(0, len(zones), ZONES_PER_REQUEST):
        yield "zone=" + ",".join(zones[first : first + ZONES_PER_REQUEST])
    if not zones:
        yield f"area={settings.state}" if settings.state else ""


def request(address: str, page: str = "", *, whole: bool = False) -> Request:
    """One request; `page` is the API's cursor."""
    joint = "&" if "?" in address else "?"
    template = f"{address}{joint}cursor={quote(page, safe='')}" if page else address
    return Request(template, headers=ACCEPT, expects="json", whole=whole, continues=bool(page))


def page_after(address: str, page: str, found: FeatureList) -> str:
    """The cursor of the page after this one; empty after the last.

    Only the cursor is taken from the API's link: we go on asking our own server our own question.
    The last page has a link as well, to a page without features.
    """
    link = found.next_url if found.features else ""
    if not link or len(link) > _MAX_URL_CHARS:
        return ""
    try:
        parts = urlsplit(link)
        cursors = parse_qs(parts.query, max_num_fields=50).get("cursor", [])
    except ValueError:
        return ""
    is_same_list = parts.path.endswith(address.partition("?")[0])
    return cursors[0] if is_same_list and len(cursors) == 1 and cursors[0] != page else ""


def last_seen(cursor: bytes | None, now_s: int) -> Cursor:
    """The cursor; an unreadable one, or one of a clock that was wrong, counts as a week."""
    if cursor is None:
        return Cursor(now_s)
    week = Cursor((now_s - KEPT_S) // 86_400 * 86_400)
    try:
        found = msgspec.json.decode(cursor, type=Cursor)
    except (msgspec.DecodeError, UnicodeError):
        return week
    is_sane = 0 <= (found.missed_since_s or 0) <= found.polled_at_s <= now_s + OUTAGE_S
    return found if is_sane and found.place >= 0 and len(found.page) <= _MAX_URL_CHARS else week


def missing(last: Cursor, now_s: int) -> Cursor | None:
    """The cursor of what is missing: what earlier polls left, or since a last poll long ago."""
    is_outage = now_s - last.polled_at_s > OUTAGE_S
    if last.missed_since_s is None:
        return Cursor(last.polled_at_s, last.polled_at_s) if is_outage else None
    return Cursor(last.polled_at_s, last.missed_since_s) if is_outage else last


def next_page(missing: Cursor, page: str) -> Cursor:
    """What is missing after one more page; an empty `page`: its address has no more."""
    place = missing.place if page else missing.place + 1
    return msgspec.structs.replace(missing, place=place, page=page, pages=missing.pages + 1)


def reached(polled_at_s: int, missing: Cursor | None, *, missed_next: bool) -> Cursor:
    """The cursor after a poll."""
    if missing is None:
        return Cursor(polled_at_s)
    return msgspec.structs.replace(missing, polled_at_s=polled_at_s, missed_next=missed_next)
