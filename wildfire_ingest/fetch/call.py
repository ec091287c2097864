"""One fetch under way, and an attempt of it that brought no answer.  Pure; microseconds."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from wildfire_ingest.errors import AnswerRefused, FetchError, SourceRejected, SourceUnavailable
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest.fetch.cache import Entry
from wildfire_ingest.fetch.transport import NoReply


@dataclass(slots=True)
class Call:
    """One fetch under way."""

    request: Request
    shown: str
    secrets: frozenset[Secret]
    deadline_us: int
    stop: threading.Event | None
    entry: Entry | None
    trial: bool = False
    asked: bool = False
    take_look: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that brought no answer."""

    error: FetchError
    passes: bool = False
    """Another attempt may succeed at once."""
    at_once: bool = False
    """Opens the circuit."""
    blameless: bool = False
    """Not the source's fault: stopped, no token."""


def unanswered(call: Call, reply: NoReply) -> Failure:
    """What a request without a reply means."""
    text = f"{call.shown}: {reply.why}"
    match reply.kind:
        case "stopped":
            return Failure(SourceUnavailable(text), blameless=True)
        case "refused":
            return Failure(SourceRejected(text), at_once=True)
        case "cut":
            return Failure(AnswerRefused(text, status=200), passes=True)
        case "oversize":
            return Failure(AnswerRefused(text, status=200))
        case "passes":
            return Failure(SourceUnavailable(text), passes=True)
