"""An API for a test: it answers what it was told to, fails when told to, and remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wildfire_ingest.clock import Clock
from wildfire_ingest.errors import FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.testing.clock import FakeClock

Reply = bytes | str | Answer | FetchError
"""A body with status 200, a whole answer, or the failure to raise."""


@dataclass(frozen=True, slots=True)
class FakeCounters:
    """What a FakeApi counted."""

    api_calls: int = 0
    api_errors: int = 0
    cache_hits: int = 0


class FakeApi:
    """An `engine.ports.Fetcher`.  `replies`: a list, whose last one repeats, or a function.

    `requests` lists what was asked, `refusals` what the source found to be no answer, and
    `settled_answers` says how many answers were followed by a durable poll.
    """

    def __init__(
        self, replies: Sequence[Reply] | Callable[[Request], Reply], clock: Clock | None = None
    ) -> None:
        self.requests: list[Request] = []
        self.refusals: list[tuple[Request, FetchError]] = []
        self.settled_answers = 0
        self.spool_id = ""
        self._clock = clock or FakeClock()
        self._function = replies if callable(replies) else None
        self._left: list[Reply] = [] if callable(replies) else list(replies)
        self._failures: list[FetchError] = []
        self._counters = FakeCounters()
        self.abandoned_polls = 0

    @property
    def counters(self) -> FakeCounters:
        return self._counters

    def reply_with(self, *replies: Reply) -> None:
        """From now on these; the last one repeats."""
        self._function, self._left = None, list(replies)

    def fail_next(self, *errors: FetchError) -> None:
        """The next requests fail so; then the replies go on where they were."""
        self._failures += errors

    def fetch(
        self, request: Request, *, stop: threading.Event | None = None, take_look: bool = False
    ) -> Answer:
        """Answer one request.  Raises the FetchError whose turn it is."""
        del stop, take_look
        self.requests.append(request)
        reply = self._failures.pop(0) if self._failures else self._next(request)
        now = self._counters
        if isinstance(reply, FetchError):
            self._counters = replace(
                now, api_calls=now.api_calls + 1, api_errors=now.api_errors + 1
            )
            raise reply
        if isinstance(reply, Answer) and reply.from_cache:
            self._counters = replace(now, cache_hits=now.cache_hits + 1)
            return reply
        self._counters = replace(now, api_calls=now.api_calls + 1)
        if isinstance(reply, Answer):
            return reply
        body = reply.encode() if isinstance(reply, str) else reply
        return Answer(200, {}, body, self._clock.now_us())

    def serve(self, spool_id: str) -> None:
        """Rows go into this spool from now on."""
        self.spool_id = spool_id

    def settled(self) -> None:
        """The rows of every answer until now are durable."""
        self.settled_answers = len(self.requests)

    def abandoned(self) -> None:
        """The poll ended before its rows were durable."""
        self.abandoned_polls += 1

    def refused(self, request: Request, error: FetchError) -> None:
        """The source found that an answer was none."""
        self.refusals.append((request, error))

    def close(self) -> None:
        """Nothing is held open."""

    def _next(self, request: Request) -> Reply:
        if self._function is not None:
            return self._function(request)
        if not self._left:
            raise ValueError("this FakeApi has no reply: give it at least one")
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]
