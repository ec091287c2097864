"""What the engine needs of the rooms around it; each has a real part and a fake in `testing`."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Protocol

from wildfire_ingest.errors import FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.offset import OffsetRecord, OffsetsView, PublisherName
from wildfire_ingest.record import Decoded, Lane, Outgoing, Polled


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


class Counters(Protocol):
    """What a fetcher counted since it began."""

    @property
    def api_calls(self) -> int: ...

    @property
    def api_errors(self) -> int: ...


class Fetcher(Protocol):
    """The way to one source's API."""

    @property
    def counters(self) -> Counters: ...

    def serve(self, spool_id: str) -> None:
        """Rows go into this spool from now on: what another spool took in is not in it."""
        ...

    def settled(self) -> None:
        """The rows of every answer handed over until now are durable."""
        ...

    def abandoned(self) -> None:
        """The poll ended before its rows were durable."""
        ...

    def refused(self, request: Request, error: FetchError) -> None:
        """The source found that an answer was none."""
        ...

    def fetch(
        self, request: Request, *, stop: threading.Event | None = None, take_look: bool = False
    ) -> Answer:
        """One request, its retries inside its deadline.  Raises FetchError; waits on `stop`.

        `take_look`: an answer that another process fetched and nobody has taken in is a poll.
        """
        ...


class Lag(Protocol):
    """Consumer lag of the topics a source writes to."""

    def read(self, groups_by_topic: Mapping[str, tuple[str, ...]]) -> Mapping[str, int | None]:
        """Largest lag of each topic's groups, in records; None = unknown.  Does not raise."""
        ...


class Sink(Protocol):
    """One source's way into Kafka.  Every method may raise a DeliveryError."""

    @property
    def owner(self) -> str:
        """Unique to this run."""
        ...

    @property
    def epoch(self) -> int:
        """Of our claim; 0 before it."""
        ...

    def reachable(self) -> bool:
        """One quick probe; does not raise for an outage."""
        ...

    def cluster_id(self) -> str: ...

    def inspect(self, start: int, stop: threading.Event | None = None) -> OffsetsView:
        """R3: fence every other producer of the source, then read what is committed."""
        ...

    def claim(self, epoch: int) -> None:
        """R3: commit our claim through every id."""
        ...

    def wait_for_need(self, seconds: float, ended: threading.Event) -> None:
        """Wait until a producer was used up, at most so long."""
        ...

    def prepare(self, publisher: PublisherName) -> bool:
        """T3, in the background: one more producer; raises Superseded at another's claim."""
        ...

    def send(
        self,
        publisher: PublisherName,
        loads: Sequence[Outgoing],
        offsets: Mapping[Lane, OffsetRecord],
    ) -> int:
        """T5, T6: all or nothing.  After an error the outcome is unknown until `reconcile`."""
        ...

    def reconcile(
        self, publisher: PublisherName, start: int, stop: threading.Event | None = None
    ) -> OffsetsView:
        """T4: what is committed; raises Superseded at another's claim."""
        ...

    def accepts(self, publisher: PublisherName, load: Outgoing, rows: Sequence[int]) -> bool:
        """E1: whether the broker takes these rows; nothing becomes visible."""
        ...

    def tails(
        self, topics: Sequence[str], since_ms: int, stop: threading.Event | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """R5: (`id` header, value) of what the topics hold since then, committed."""
        ...

    def wake(self) -> None:
        """End a wait_for_need."""
        ...

    def close(self) -> None: ...
