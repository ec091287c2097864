"""How the alerts of the National Weather Service are polled and read.

Pure.  A poll reads the list of alerts in force, again and again; what was seen before is for the
index of ids to say.  After an outage of ours it also reads the alerts sent meanwhile, which may
have come and gone; those never hold up the ones in force.  The messages of a poll go out in the
order in which they were sent, and all about one event have one partition key.
Source: https://www.weather.gov/documentation/services-web-api.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import cast

import msgspec

from wildfire_ingest.errors import FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Decoded, Polled, Record, Reject
from wildfire_ingest.sources import alert_request as ask
from wildfire_ingest.sources.alert_feature import NOT_FOR_THE_PUBLIC, BadAlert, read_alert
from wildfire_ingest.sources.nws_answer import FeatureList, named, read_features
from wildfire_ingest.sources.settings import NwsAlertsSettings
from wildfire_ingest.sources.utc_time import utc_minute
from wildfire_ingest.sources.weather_alert import WeatherAlert

WINDOW_S = 366 * 86_400
"""An alert in force may have been sent months ago (a flood), and alerts are few."""

FEWEST_IN_THE_COUNTRY = 20
"""There are 250 to 530 in force; hardly any is an outage of NWS, not peace."""

MISSED_PAGES_PER_POLL = 4
"""The alerts in force are spooled at the end of the poll and must not wait for more."""

_SECOND_US = 1_000_000


@dataclass(slots=True)
class _Taken:
    """What the answers of one poll brought."""

    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    filtered: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.records) + len(self.rejects) + self.filtered

    def decoded(self) -> Decoded:
        """In the order of sending; of one second, what refers to others comes after them."""
        ordered = sorted(self.records, key=_order)
        return Decoded(ordered, self.rejects, self.filtered, tuple(dict.fromkeys(self.notes)))


class NoaaAlerts:
    """NWS alerts of a state, of zones or of the country.  Raises ConfigError for bad settings."""

    source_type = "noaa_alerts"

    def __init__(self, settings: NwsAlertsSettings) -> None:
        ask.check(settings)
        self._settings = settings
        self._wanted = frozenset(map(_folded, settings.alert_types))

    @property
    def source_id(self) -> str:
        return self._settings.source_id

    @property
    def window_s(self) -> int:
        return self._settings.window_s if self._settings.window_s is not None else WINDOW_S

    def read(self, body: bytes) -> Decoded:
        """Tests, exercises and drafts are filtered, and what `alert_types` does not name."""
        taken = _Taken()
        self._read(read_features(body), taken)
        return taken.decoded()

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        now_s = now_us // _SECOND_US
        last = ask.last_seen(cursor, now_s)
        missing = ask.missing(last, now_s)
        spare = self._settings.requests_per_poll - len(ask.active(self._settings))
        # A pace that allows one request a poll: the two lists in turn.
        only_missed = missing is not None and spare < 1 and last.missed_next
        pages = min(max(spare, int(only_missed)), MISSED_PAGES_PER_POLL)
        taken = _Taken()
        if not only_missed:
            yield from self._active(taken)
        if missing is not None:
            taken.notes += _lost(missing, now_s)
            missing = yield from self._missed(missing, pages, taken)
        polled_at_s = last.polled_at_s if only_missed else max(now_s, last.polled_at_s)
        reached = ask.reached(polled_at_s, missing, missed_next=spare < 1 and not only_missed)
        return Polled(taken.decoded(), msgspec.json.encode(reached))

    def _active(self, taken: _Taken) -> Generator[Request, Answer, None]:
        is_unchanged = False
        for address in ask.active(self._settings):
            page = ""
            for _ in range(ask.MAX_PAGES):
                try:
                    answer = yield ask.request(address, page)
                except FetchError as refused:
                    raise named(refused) from refused
                is_unchanged = is_unchanged or answer.not_modified
                page = ask.page_after(address, page, self._take(answer, taken))
                if not page:
                    break
        is_country = not (self._settings.state or self._settings.zones)
        if is_country and not is_unchanged and taken.rows < FEWEST_IN_THE_COUNTRY:
            taken.notes.append(
                f"only {taken.rows} alerts in force in the whole country: expected hundreds;"
                " NWS itself may have an outage"
            )

    def _missed(
        self, missing: ask.Cursor, pages: int, taken: _Taken
    ) -> Generator[Request, Answer, ask.Cursor | None]:
        """Read on in what was missed; what is left of it, None for nothing."""
        addresses = ask.missed(self._settings, missing.missed_since_s or 0)
        for _ in range(pages):
            if missing.place >= len(addresses):
                break
            address = addresses[missing.place]
            try:
                # Whole: "nothing new" would say nothing of the pages behind this one.
                answer = yield ask.request(address, missing.page, whole=True)
                following = ask.page_after(address, missing.page, self._take(answer, taken))
            except FetchError as refused:
                # The alerts in force are read; they must not wait for those of the past.
                return _failed(missing, named(refused), taken)
            missing = ask.next_page(missing, following)
            if missing.pages >= ask.MAX_PAGES:
                taken.notes.append(f"over {ask.MAX_PAGES} pages of missed alerts: the rest is left")
                return None
        return missing if missing.place < len(addresses) else None

    def _take(self, answer: Answer, taken: _Taken) -> FeatureList:
        found = FeatureList(()) if answer.not_modified else read_features(answer.body)
        self._read(found, taken)
        return found

    def _read(self, found: FeatureList, taken: _Taken) -> None:
        unreadable: set[str] = set()
        for feature in found.features:
            try:
                record = read_alert(feature)
            except BadAlert as bad:
                taken.rejects.append(Reject(feature, bad.reason, bad.error_class))
                continue
            body = cast("WeatherAlert", record.body)
            if self._is_wanted(body):
                taken.records.append(record)
                unreadable.update(body.unreadable)
            else:
                taken.filtered += 1
        if unreadable:
            taken.notes.append(
                f"left out of some alerts, unreadable: {', '.join(sorted(unreadable))}"
            )

    def _is_wanted(self, body: WeatherAlert) -> bool:
        """An alert without a status is wanted: better one too many than one too few."""
        if body.status is not None and body.status.casefold() in NOT_FOR_THE_PUBLIC:
            return False
        return not self._wanted or _folded(body.event) in self._wanted


def _folded(event: str) -> str:
    return " ".join(event.split()).casefold()


def _order(record: Record) -> tuple[str, int]:
    body = cast("WeatherAlert", record.body)
    return body.sent.rstrip("Z"), len(body.references)


def _lost(missing: ask.Cursor, now_s: int) -> list[str]:
    """What no request brings back any more."""
    since_s = missing.missed_since_s or 0
    if now_s - since_s <= ask.KEPT_S or missing.pages or missing.place:
        return []
    told = (
        f"nothing was polled since {utc_minute(since_s)} and NWS keeps alerts for"
        f" {ask.KEPT_S // 86_400} days: those that came and went before are missing"
    )
    return [told]


def _failed(missing: ask.Cursor, refused: FetchError, taken: _Taken) -> ask.Cursor | None:
    since = utc_minute(missing.missed_since_s or 0)
    if refused.retriable:
        taken.notes.append(f"the alerts missed since {since} are asked for again later: {refused}")
        return missing
    taken.notes.append(f"the alerts that came and went since {since} are missing: {refused}")
    return None
