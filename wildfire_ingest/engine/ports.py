"""What the engine needs of the rooms around it; each has a real part and a fake in `testing`."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Protocol

from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Decoded, Polled


class Source(Protocol):
    """One API's knowledge: what to ask and how to read the answer.  Pure, no I/O."""

    @property
    def source_id(self) -> str: ...

    @property
    def source_type(self) -> str:
        """Part of every id: the same row of two sources of one type has one id."""
        ...

    @property
    def window_s(self) -> int:
        """Longer than the span the API serves; an older row is too late."""
        ...

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        """One poll: yields requests, is sent answers (a FetchError is thrown in), returns Polled.

        Raises AnswerRefused or SourceRejected for a body that is no answer.
        """
        ...

    def read(self, body: bytes) -> Decoded:
        """Read one stored answer body.  Raises AnswerRefused where it is none."""
        ...


class Fetcher(Protocol):
    """The way to one source's API."""

    def fetch(self, request: Request, *, stop: threading.Event | None = None) -> Answer:
        """One request, its retries inside its deadline.  Raises FetchError; waits on `stop`."""
        ...
