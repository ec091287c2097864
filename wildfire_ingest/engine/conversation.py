"""How a source's questions get their answers: its generator, driven to its end.

A poll and a look differ only in how they ask.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from wildfire_ingest.engine.ports import Fetcher
from wildfire_ingest.errors import FetchError
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Polled

Asking = Generator[Request, Answer, Polled]


def converse(asking: Asking, ask: Callable[[Request], Answer], fetcher: Fetcher) -> Polled:
    """What the source makes of its answers.  Raises the FetchError that it does not catch.

    The fetcher hears of an answer that the source finds to be none.
    """
    try:
        request = next(asking)
        while True:
            try:
                answer = ask(request)
            except FetchError as error:
                request = asking.throw(error)
                continue
            request = _hand_over(asking, request, answer, fetcher)
    except StopIteration as done:
        polled: Polled = done.value
        return polled
    finally:
        asking.close()


def as_nothing_new(answer: Answer) -> Answer:
    """A cached answer whose rows a poll has already, as the source is told of it."""
    return replace(answer, status=304, body=b"", not_modified=True)


def _hand_over(asking: Asking, request: Request, answer: Answer, fetcher: Fetcher) -> Request:
    """Give the source an answer; the request that it makes next.  Raises StopIteration."""
    try:
        return asking.send(answer)
    except FetchError as error:
        fetcher.refused(request, error)
        raise
