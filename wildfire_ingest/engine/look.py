"""Whether a poll would bring something new: asked as a poll asks, and nothing is taken in.

A look never settles and never moves a cursor.  What it was answered is kept, and the poll that
follows takes it over without asking again.  It ends at the first news that the source accepts:
the rest is for that poll.  Seconds and microseconds as the names say.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from wildfire_ingest.engine.conversation import as_nothing_new, converse
from wildfire_ingest.engine.ports import Fetcher, Source
from wildfire_ingest.errors import FetchError, SourceUnavailable
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Polled

MAX_REQUESTS = 1000
"""So many of the next poll's requests are compared."""
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found."""

    news: str
    """What is new, for a person; empty where nothing is."""
    digest: str
    """The same for the same news to the same cursor."""


class _Enough(Exception):
    """There is news, and the source has accepted it."""


def look(
    source: Source,
    fetcher: Fetcher,
    cursor: bytes | None,
    now_us: int,
    stop: threading.Event,
) -> Look:
    """Look once; `stop` ends it.  Raises FetchError where nothing can be said."""
    glance = _Glance(fetcher, stop, hashlib.sha256(cursor or b""))
    try:
        polled = converse(source.poll(cursor, now_us), glance.ask, fetcher)
    except _Enough:
        return glance.found("a new answer")
    except FetchError:
        if stop.is_set() and glance.answered:
            return glance.found("there was no time to ask for everything")
        raise
    if glance.news:
        return glance.found("a new answer")
    if stop.is_set() and not glance.answered:
        raise SourceUnavailable("no answer in the time of a look")
    if stop.is_set():
        return glance.found("there was no time to ask for everything")
    if _next_requests(source, polled.cursor, now_us) != glance.asked:
        # Stations in rotation, or a time to ask from: who stands still never gets there.
        return glance.found("the next poll asks for something else")
    return glance.found("")


@dataclass(slots=True)
class _Glance:
    """One look under way."""

    fetcher: Fetcher
    stop: threading.Event
    _seen: hashlib._Hash
    asked: list[str] = field(default_factory=list)
    """Also what failed: one station of many that does is no reason for a poll each time."""
    answered: int = 0
    news: bool = False

    def ask(self, request: Request) -> Answer:
        if self.news:
            raise _Enough
        self.asked.append(request.template)
        answer = self.fetcher.fetch(request, stop=self.stop)
        self.answered += 1
        if answer.not_modified or answer.status == _NOT_FOUND:
            return answer
        if answer.from_cache and not answer.awaits_poll:
            return as_nothing_new(answer)
        self.news = True
        self._seen.update(request.template.encode())
        self._seen.update(hashlib.sha256(answer.body).digest())
        return answer

    def found(self, news: str) -> Look:
        return Look(news, self._seen.hexdigest())


def _next_requests(source: Source, cursor: bytes | None, now_us: int) -> list[str]:
    """What the poll after this one asks for while nothing is new."""
    asked: list[str] = []
    asking: Generator[Request, Answer, Polled] = source.poll(cursor, now_us)
    try:
        request = next(asking)
        while len(asked) < MAX_REQUESTS:
            asked.append(request.template)
            request = asking.send(Answer(304, {}, b"", now_us, not_modified=True))
    except (StopIteration, FetchError):
        pass  # a source that cannot go on without a body says all that it can
    finally:
        asking.close()
    return asked
