"""What a look says, over fakes: news, none, or that a poll must go on; it takes nothing in."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from wildfire_ingest.engine.look import look
from wildfire_ingest.errors import AnswerRefused, SourceUnavailable
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.record import Decoded, Polled
from wildfire_ingest.testing import FakeApi, FakeSource

NOTHING = Answer(304, {}, b"", 0, not_modified=True)
TAKEN = Answer(200, {}, b"old", 0, from_cache=True)
UNTAKEN = Answer(200, {}, b"kept", 0, from_cache=True, awaits_poll=True)
MISSING = Answer(404, {}, b"", 0)


@dataclass
class Stations:
    """Asks `at_once` of its stations a poll; the cursor is the one to begin with."""

    stations: int = 3
    at_once: int = 3
    source_id = "stations"
    source_type = "fake"
    window_s = 86_400
    seen: list[Answer] | None = None

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        del now_us
        first = int(cursor or b"0")
        for turn in range(self.at_once):
            answer = yield Request(f"/{(first + turn) % self.stations}")
            if self.seen is not None:
                self.seen.append(answer)
        return Polled(self.read(b""), str((first + self.at_once) % self.stations).encode())

    def read(self, body: bytes) -> Decoded:
        del body
        return Decoded([], [])


def glance(source, api, cursor=b"0", stop=None):
    return look(source, api, cursor, 0, stop or threading.Event())


@pytest.mark.parametrize("answer", ["{}", UNTAKEN])
def test_an_answer_that_no_poll_has_is_news(answer):
    assert glance(FakeSource(), FakeApi([answer])).news == "a new answer"


@pytest.mark.parametrize("answer", [NOTHING, TAKEN, MISSING])
def test_an_answer_that_says_nothing_new_is_none(answer):
    assert glance(Stations(1, 1), FakeApi([answer])).news == ""


def test_a_look_ends_at_the_first_news_that_the_source_accepts():
    api = FakeApi([NOTHING, "news", "more news"])

    assert glance(Stations(), api).news
    assert [request.template for request in api.requests] == ["/0", "/1"]


def test_news_that_the_source_refuses_is_a_failure_and_the_fetcher_hears_of_it():
    api = FakeApi(["<html>"])

    with pytest.raises(AnswerRefused):
        glance(FakeSource(), api)

    assert len(api.refusals) == 1


def test_a_look_settles_nothing():
    api = FakeApi(["{}"])

    glance(FakeSource(), api)

    assert api.settled_answers == 0


def test_a_cached_answer_says_nothing_new_to_the_source():
    seen: list[Answer] = []

    glance(Stations(1, 1, seen=seen), FakeApi([TAKEN]))

    assert (seen[0].not_modified, seen[0].body) == (True, b"")


def test_stations_in_rotation_are_not_looked_at_for_ever_without_a_turn():
    found = glance(Stations(stations=3, at_once=2), FakeApi([NOTHING]))

    assert found.news == "the next poll asks for something else"


def test_the_same_news_to_the_same_cursor_has_the_same_digest():
    def digest(body, cursor=b"0"):
        return glance(FakeSource(), FakeApi([body]), cursor).digest

    assert digest("{}") == digest("{}")
    assert len({digest("{}"), digest("{} "), digest("{}", b"1")}) == 3


class OneFails(Stations):
    """Goes on where a station fails."""

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        del cursor, now_us
        for station in range(self.stations):
            with suppress(SourceUnavailable):
                yield Request(f"/{station}")
        return Polled(self.read(b""), b"0")


def test_a_station_that_fails_is_no_news_of_the_others():
    api = FakeApi([NOTHING, SourceUnavailable("500"), NOTHING])

    assert glance(OneFails(), api).news == ""


def test_an_api_that_is_down_is_no_news():
    with pytest.raises(SourceUnavailable):
        glance(FakeSource(), FakeApi([SourceUnavailable("503")]))


def cut_after(n, stop):
    """An API whose answers take all the time there is after the n-th."""
    answered = 0

    def reply(_request):
        nonlocal answered
        if answered == n:
            stop.set()
            return SourceUnavailable("stopped")
        answered += 1
        return NOTHING

    return FakeApi(reply)


def test_what_there_was_no_time_to_ask_for_is_left_to_a_poll():
    stop = threading.Event()

    found = glance(Stations(), cut_after(2, stop), stop=stop)

    assert found.news == "there was no time to ask for everything"


def test_no_answer_in_all_the_time_is_a_failure():
    stop = threading.Event()

    with pytest.raises(SourceUnavailable):
        glance(Stations(), cut_after(0, stop), stop=stop)
