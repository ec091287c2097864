"""How observations of NWS stations are polled and read.

Pure.  A poll asks as many stations and zones as its pace allows and the next one goes on behind
them (nws_rotation).  Each is asked from some hours before its last answer on: observations come
late and are revised, and the index of ids knows what was there before.  What to ask follows from
the cursor and the hour, so the same poll a few seconds later asks the same.
One station that fails ends no poll; it keeps its older start and has its next turn.
Source: https://api.weather.gov/openapi.json, https://weather-gov.github.io/api/general-faqs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum, auto

from wildfire_ingest.errors import AnswerRefused, CircuitOpen, ConfigError, FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Decoded, Polled, Record, Reject
from wildfire_ingest.sources import nws_rotation as rotation
from wildfire_ingest.sources import nws_stations as ask
from wildfire_ingest.sources.nws_answer import (
    FeatureList,
    name_of,
    named,
    problem,
    read_features,
)
from wildfire_ingest.sources.nws_observation import Wanted, read_observation
from wildfire_ingest.sources.nws_rotation import Target
from wildfire_ingest.sources.settings import NwsObservationsSettings
from wildfire_ingest.sources.weather_observation import chosen, known_words

HOUR_US = 3_600_000_000
WINDOW_S = 8 * 86_400
"""The API keeps 7 days; one more for rows at its edge."""

FEWEST_TRIED = 8
"""So many must fail before a poll fails: a few bad ones at the head of the queue hold up nobody."""
MOST_SILENT = 3
"""After so many without any reply there is nobody; each costs a whole deadline."""

_EXAMINED = 4096
_NOT_FOUND, _TOO_MANY = 404, 429
_NAMED_IN_NOTE = 3


class _Nothing(Enum):
    """Why a page has no rows."""

    NEW = auto()
    MISSING = auto()


@dataclass(slots=True)
class _Brought:
    """What one poll has until now."""

    wanted: Wanted
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    filtered: int = 0
    requests: int = 0
    answered: int = 0
    silent: int = 0
    """Failures one after the other without any reply."""
    failed: dict[str, FetchError] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, name: str, error: FetchError) -> None:
        """Remember a target that could not be read."""
        self.failed[name] = error
        self.silent = self.silent + 1 if error.status is None else 0

    def was_answered(
        self,
        name: str,
        *,
        is_missing: bool = False,
        is_cut: bool = False,
        is_unfinished: bool = False,
    ) -> None:
        """Remember a target that could be asked, and what is to be said of it."""
        self.answered += 1
        self.silent = 0
        for names, is_one in (
            (self.missing, is_missing),
            (self.cut, is_cut),
            (self.unfinished, is_unfinished),
        ):
            if is_one:
                names.append(name)

    def read(self, page: FeatureList) -> None:
        """Take in the rows of one page."""
        for raw in page.features:
            row = read_observation(raw, self.wanted)
            if isinstance(row, Record):
                self.records.append(row)
            elif isinstance(row, Reject):
                self.rejects.append(row)
            else:
                self.filtered += 1

    def decoded(self) -> Decoded:
        """All rows, and what a person should know."""
        units = [f"{name} in {unit}" for name, unit in self.wanted.unknown_units]
        errors = [f"{name} ({error})" for name, error in self.failed.items()]
        groups = (
            (units, "values in units not known are left out"),
            (errors, "not read this time, asked again from the same start at their next turn"),
            (self.missing, "have no observations (404)"),
            (self.cut, "not read for over 7 days, which is all that NWS keeps: earlier is missing"),
            (self.unfinished, f"have over {ask.MAX_PAGES} pages: the oldest rows are missing"),
        )
        told = (_told(names, what) for names, what in groups if names)
        return Decoded(self.records, self.rejects, self.filtered, (*self.notes, *told))


class NoaaWeather:
    """Observations of some stations.  Raises ConfigError for settings that cannot work."""

    source_type = "noaa_weather"

    def __init__(self, settings: NwsObservationsSettings) -> None:
        self._settings = settings
        self._configured = ask.targets(settings)
        measurements = chosen(settings.data_types)
        if measurements is None:
            raise ConfigError(
                f"source {settings.source_id}: data_types {', '.join(settings.data_types)[:200]}:"
                f" expected some of {known_words()}"
            )
        self._measurements = measurements

    @property
    def source_id(self) -> str:
        return self._settings.source_id

    @property
    def window_s(self) -> int:
        return self._settings.window_s or WINDOW_S

    def read(self, body: bytes) -> Decoded:
        brought = self._nothing()
        brought.read(read_features(body))
        return brought.decoded()

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        now_h = now_us // HOUR_US
        brought = self._nothing()
        queue, listed_day = yield from self._queue(cursor, now_h, brought)
        left, asked = deque(queue), list[Target]()
        while left and self._goes_on(brought):
            target = left.popleft()
            try:
                moved = yield from _ask(target, now_h, brought)
            except FetchError as error:
                brought.fail(target.name, error)
                if _is_for_all(error):
                    left.appendleft(target)
                    break
                moved = target
            asked.append(moved)
        if brought.failed and not brought.answered:
            raise list(brought.failed.values())[-1]
        rest = rotation.encode([*left, *asked], self._settings.state or "", listed_day)
        return Polled(brought.decoded(), rest)

    def _nothing(self) -> _Brought:
        return _Brought(Wanted(self._measurements, all_rows=not self._settings.data_types))

    def _goes_on(self, brought: _Brought) -> bool:
        if brought.silent >= MOST_SILENT:
            return False
        if brought.requests < self._settings.requests_per_poll:
            return True
        return not brought.answered and len(brought.failed) < FEWEST_TRIED

    def _queue(
        self, cursor: bytes | None, now_h: int, brought: _Brought
    ) -> Generator[Request, Answer, tuple[list[Target], int]]:
        """Whom to ask, and the day of the state's list.  An unreadable cursor is an outage."""
        seen = rotation.decode(cursor)
        first_h = now_h - rotation.KEPT_H if cursor is not None and seen is None else now_h
        seen = seen or rotation.Cursor()
        known = seen.targets
        state, today = self._settings.state or "", now_h // rotation.DAY_H
        listed, listed_day = [target.name for target in known] if state else [], seen.listed_day
        if state and (seen.state != state or listed_day != today):
            try:
                listed = yield from _list(state, brought)
                listed_day = today
            except FetchError as error:
                if seen.state != state:
                    raise
                brought.notes.append(f"asking the stations known before: {error}")
        wanted = [*self._configured, *listed]
        return rotation.merged(known, wanted, first_h), listed_day


def _list(state: str, brought: _Brought) -> Generator[Request, Answer, list[str]]:
    """The stations of a state.  Raises FetchError where there are none."""
    found: list[str] = []
    request: Request | None = ask.stations_of(state)
    for _ in range(ask.MAX_PAGES):
        # A link to the next page stands on the last one too: that one is empty.
        page = (yield from _page(request, brought)) if request is not None else None
        if request is None or not isinstance(page, FeatureList) or not page.features:
            break
        found += ask.station_ids(page)
        request = ask.following(request, page)
    if not found:
        raise AnswerRefused(f"NWS lists no stations of {state}: expected hundreds")
    return found


def _ask(target: Target, now_h: int, brought: _Brought) -> Generator[Request, Answer, Target]:
    """The rows of one target; it, with this hour where all of them came."""
    since = rotation.since(target, now_h)
    request: Request | None = ask.observations(target.name, since.start_h)
    rows = 0
    for _ in range(ask.MAX_PAGES):
        if request is None:
            break
        page = yield from _page(request, brought)
        if not isinstance(page, FeatureList):
            # Asked from the same hour again: nothing new now is no promise for rows not yet read.
            brought.was_answered(target.name, is_missing=page is _Nothing.MISSING)
            return target
        brought.read(page)
        rows += len(page.features)
        request = ask.following(request, page) if len(page.features) >= ask.PAGE_ROWS else None
    brought.was_answered(
        target.name, is_cut=since.is_cut and rows > 0, is_unfinished=request is not None
    )
    return Target(target.name, now_h)


def _page(
    request: Request, brought: _Brought
) -> Generator[Request, Answer, FeatureList | _Nothing]:
    """One page.  Raises FetchError with NWS's own name for it where there is one."""
    brought.requests += 1
    try:
        answer = yield request
    except FetchError as error:
        found = named(error)
        if found is error:
            raise
        raise found from error
    if answer.not_modified:
        return _Nothing.NEW
    if answer.status != _NOT_FOUND:
        # Also from the cache: its rows may never have been stored, and the index knows repeats.
        return read_features(answer.body)
    text = answer.body[:_EXAMINED].decode("utf-8", "replace")
    if name_of(text) == "NotFound":
        return _Nothing.MISSING
    raise problem(text, answer.status) or AnswerRefused(
        "status 404 with a body that is not NWS's; check base_url", status=answer.status
    )


def _is_for_all(error: FetchError) -> bool:
    """Whether asking another one now is useless as well: no token, circuit open, too fast."""
    not_asked = error.status is None and error.retry_after_s is not None
    return not_asked or isinstance(error, CircuitOpen) or error.status == _TOO_MANY


def _told(names: list[str], what: str) -> str:
    some = ", ".join(names[:_NAMED_IN_NOTE])
    more = len(names) - _NAMED_IN_NOTE
    return f"{some}{f' and {more} more' if more > 0 else ''}: {what}"
