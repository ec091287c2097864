"""The small fakes: a source of JSON lines, routes, lag, archive, and an observer that remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import msgspec

from wildfire_ingest.engine.events import Event
from wildfire_ingest.errors import AnswerRefused
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Body, Decoded, Lane, Load, Polled, Record, Reject
from wildfire_ingest.testing.clock import START_US

E = TypeVar("E", bound=Event)


class Reading(Body, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The record type of a FakeSource."""

    record_type: ClassVar[str] = "reading"
    schema_version: ClassVar[int] = 1

    station: str
    value: float | str | None = None
    urgent: bool = False


class _Row(msgspec.Struct, frozen=True):
    station: str
    value: float | str | None = None
    at_s: int = START_US // 1_000_000
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class FakeSource:
    """A source of JSON lines like {"station": "a", "value": 1, "at_s": 1767225600}.

    A line that is none becomes a reject; a body that begins with `<` is no answer.
    """

    source_id: str = "source"
    source_type: str = "fake"
    window_s: int = 8 * 86_400

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        """One request; the cursor counts the polls."""
        del now_us
        answer = yield Request("/readings", expects="json")
        count = int(cursor or b"0") + 1
        return Polled(self.read(answer.body), str(count).encode())

    def read(self, body: bytes) -> Decoded:
        """Read one answer."""
        if body.startswith(b"<"):
            raise AnswerRefused("expected JSON lines, found HTML")
        records: list[Record] = []
        rejects: list[Reject] = []
        for line in body.splitlines():
            try:
                row = msgspec.json.decode(line, type=_Row)
            except msgspec.MsgspecError as error:
                rejects.append(Reject(line, str(error), "bad_json"))
                continue
            body_of = Reading(station=row.station, value=row.value, urgent=row.urgent)
            key = f"{row.station}|{row.at_s}".encode()
            records.append(Record(key, row.at_s, row.station.encode(), body_of))
        return Decoded(records, rejects)


@dataclass(frozen=True, slots=True)
class FakeRoutes:
    """An `intake.Routes`: one topic and one lane, or functions that look into the body."""

    to: str | Callable[[Body], str] = "wildfire-default"
    in_lane: Lane | Callable[[Body], Lane] = Lane.NORMAL

    def topic(self, body_type: type[Body]) -> str | Callable[[Body], str]:
        del body_type
        return self.to

    def lane(self, body_type: type[Body]) -> Lane | Callable[[Body], Lane]:
        del body_type
        return self.in_lane

    def count(self, body_type: type[Body], records: int) -> None:
        """Not counted."""

    def resolutions(self) -> Mapping[str, int]:
        return {}


@dataclass(slots=True)
class FakeLag:
    """An `engine.ports.Lag` that a test sets: records behind, None = unknown."""

    lag: int | None = 0
    by_topic: dict[str, int | None] = field(default_factory=dict)
    readings: int = 0

    def read(self, groups_by_topic: Mapping[str, tuple[str, ...]]) -> dict[str, int | None]:
        """The lag of every topic that has a group."""
        self.readings += 1
        return {
            t: self.by_topic.get(t, self.lag) for t, groups in groups_by_topic.items() if groups
        }


@dataclass(frozen=True, slots=True)
class Archived:
    """A load as a FakeArchive keeps it."""

    source_id: str
    load: Load
    ids: bytes
    payload: bytes
    reason: str


@dataclass(slots=True)
class FakeArchive:
    """An `engine.parts.Archive` in memory; `full=True` refuses, as a full disk does."""

    kept: list[Archived] = field(default_factory=list)
    full: bool = False
    before_append: Callable[[Load], None] = lambda _load: None

    def append(
        self,
        source_id: str,
        load: Load,
        *,
        ids: bytes,
        payload: bytes,
        reason: str,
        now_us: int,
    ) -> None:
        """Keep one load.  Raises OSError where it is full."""
        del now_us
        self.before_append(load)
        if self.full:
            raise OSError(28, "no space left on device")
        self.kept.append(Archived(source_id, load, ids, payload, reason))


class Recorder:
    """An observer that remembers every event; safe for several threads."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    @property
    def events(self) -> tuple[Event, ...]:
        """All of them, in order."""
        with self._lock:
            return tuple(self._events)

    def of(self, kind: type[E]) -> list[E]:
        """Those of one kind."""
        return [event for event in self.events if isinstance(event, kind)]
