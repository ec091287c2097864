"""What every Fetcher promises: the fake, and the client against a server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wildfire_ingest.engine.ports import Fetcher
from wildfire_ingest.errors import (
    AnswerRefused,
    FetchError,
    SourceRejected,
    SourceUnavailable,
)
from wildfire_ingest.exchange import Request, Secret
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.testing import FakeApi, FakeClock
from wildfire_ingest_tests.fetch.loopback import Server, reply

CSV = b"latitude,longitude\n1,2\n"
REQUEST = Request("/area/{map_key}/1", {"map_key": Secret("s3cret-value")})


@dataclass
class World:
    """A fetcher, and how its API answers next."""

    fetcher: Fetcher
    answers: Callable[[bytes], None]
    fails: Callable[[type[FetchError], float | None], None]


def _fake() -> World:
    api = FakeApi([CSV])
    return World(
        api,
        api.reply_with,
        lambda kind, after_s: api.reply_with(kind("no", retry_after_s=after_s)),
    )


def _real(server: Server, folder: Path) -> World:
    settings = FetchSettings(
        source_id="s", base_url=server.url, state_dir=folder, cache_ttl_s=0, max_attempts=1
    )

    def fails(kind: type[FetchError], after_s: float | None) -> None:
        status = {SourceUnavailable: "503 No", SourceRejected: "403 No", AnswerRefused: "200 OK"}
        body = b"<html>no</html>"
        more = [] if after_s is None else [f"Retry-After: {after_s:.0f}"]
        server.answers(reply(body, status[kind], *more))

    server.answers(reply(CSV))
    return World(
        ApiClient(settings, FakeClock(quiet_s=0)), lambda body: server.answers(reply(body)), fails
    )


@pytest.fixture(params=["fake", "client"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        yield _fake()
        return
    server = Server()
    made = _real(server, tmp_path / "state")
    yield made
    assert isinstance(made.fetcher, ApiClient)
    made.fetcher.close()
    server.close()


def test_an_answer_is_the_body_as_it_was_sent(world: World) -> None:
    answer = world.fetcher.fetch(REQUEST)

    assert (answer.status, answer.body, answer.from_cache) == (200, CSV, False)


def test_asking_again_asks_again(world: World) -> None:
    world.fetcher.fetch(REQUEST)
    world.fetcher.settled()
    world.answers(b"latitude,longitude\n")

    assert world.fetcher.fetch(REQUEST).body == b"latitude,longitude\n"
    assert world.fetcher.counters.api_calls == 2


@pytest.mark.parametrize("kind", [SourceUnavailable, SourceRejected, AnswerRefused])
def test_a_failure_is_a_fetch_error_of_its_kind_and_is_counted(
    world: World, kind: type[FetchError]
) -> None:
    world.fails(kind, None)

    with pytest.raises(kind):
        world.fetcher.fetch(REQUEST)

    assert (world.fetcher.counters.api_calls, world.fetcher.counters.api_errors) == (1, 1)


def test_a_failure_says_when_it_may_be_asked_again(world: World) -> None:
    world.fails(SourceUnavailable, 90.0)

    with pytest.raises(SourceUnavailable) as failed:
        world.fetcher.fetch(REQUEST)

    assert failed.value.retry_after_s == 90.0


def test_after_a_failure_the_next_answer_counts(world: World) -> None:
    world.fails(SourceUnavailable, None)
    with pytest.raises(SourceUnavailable):
        world.fetcher.fetch(REQUEST)
    world.answers(CSV)

    assert world.fetcher.fetch(REQUEST).body == CSV


def test_a_refusal_by_the_source_does_not_stop_the_fetcher(world: World) -> None:
    world.fetcher.fetch(REQUEST)

    world.fetcher.refused(REQUEST, AnswerRefused("not what this API sends"))

    assert world.fetcher.fetch(REQUEST).body == CSV


def test_no_error_shows_the_secret(world: World) -> None:
    world.fails(SourceRejected, None)

    with pytest.raises(SourceRejected) as failed:
        world.fetcher.fetch(REQUEST)

    assert "s3cret" not in f"{failed.value!r} {failed.value.sample}"
