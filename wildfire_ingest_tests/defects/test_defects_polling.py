"""A poll is one question to the API, asked at its time, and holds up nothing else."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from wildfire_ingest.dispatch.settings import ThrottleSettings
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.exchange import Answer, Request
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.record import Decoded, Polled
from wildfire_ingest.testing import (
    TOPIC,
    FakeApi,
    FakeClock,
    FakeLag,
    FakeSink,
    FakeSource,
    make_engine,
)
from wildfire_ingest_tests.defects.rows import answer, firms, row
from wildfire_ingest_tests.engine.lines import line, lines
from wildfire_ingest_tests.fetch.loopback import Server, ToldClock, reply

LONG_S = 10.0
"""Real seconds after which a test gives up waiting for another thread."""


def client_of(server: Server, tmp_path: Path, **changes: object) -> ApiClient:
    clock = changes.pop("clock", None) or ToldClock()
    known = {
        "source_id": "source",
        "base_url": server.url,
        "state_dir": tmp_path / "state",
        "deadline_s": 300.0,
        **changes,
    }
    return ApiClient(FetchSettings(**known), clock)  # type: ignore[arg-type]


def test_defect_16_a_cached_answer_is_never_taken_in_as_news(
    server: Server, tmp_path: Path
) -> None:
    """Polled twice as often as an answer may be reused, for ten minutes."""
    rows = [row(50 + n / 100) for n in range(100)]
    # Each in another order: the same bytes again would be nothing new.
    turned = [answer(*rows[n:], *rows[:n]) for n in range(20)]
    server.answers(*(reply(one.encode()) for one in turned))
    clock = FakeClock(quiet_s=0.02)
    client = client_of(server, tmp_path, clock=clock, cache_ttl_s=60.0)

    with make_engine(firms(), [""], tmp_path, clock=clock, polling_interval_s=30.0) as bench:
        engine = Engine(bench.settings, replace(bench.parts(), fetcher=client))
        summary = engine.run_forever(threading.Event(), 600.0)
    client.close()

    assert summary.cache_hits > 0
    assert summary.polls == len(server.requests) <= 11
    assert summary.ledger.fetched == 100 * summary.polls
    assert (summary.ledger.published, len(bench.kafka.visible(TOPIC))) == (100, 100)


def test_defect_31_an_answer_without_rows_is_kept_too(server: Server, tmp_path: Path) -> None:
    server.answers(reply(answer().encode()))
    client = client_of(server, tmp_path, cache_ttl_s=60.0)

    first, second = (client.fetch(Request("/fires.csv")) for _ in range(2))
    client.close()

    assert (first.from_cache, second.from_cache) == (False, True)
    assert len(server.requests) == 1


class TwoStations(FakeSource):
    """Two requests a poll; the rows of one count without the other's."""

    def poll(self, cursor: bytes | None, now_us: int) -> Generator[Request, Answer, Polled]:
        found = Decoded([], [])
        for station in "ab":
            try:
                answer = yield Request(f"/stations/{station}")
            except SourceUnavailable:
                continue
            found.records.extend(self.read(answer.body).records)
        return Polled(found, b"1")


def test_defect_31_one_slow_request_of_a_poll_costs_the_others_nothing(tmp_path: Path) -> None:
    def reply_to(request: Request) -> str | SourceUnavailable:
        return SourceUnavailable("deadline") if request.template.endswith("a") else line("b")

    with make_engine(TwoStations(), reply_to, tmp_path) as bench:
        summary = bench.run_once()

        assert (summary.ending, summary.api_errors) == ("done", 1)
        assert [m.json()["station"] for m in bench.kafka.visible()] == ["b"]


def test_defect_34_a_success_rate_is_the_answered_part_of_what_was_asked(
    server: Server, tmp_path: Path
) -> None:
    refused = reply(b"no", "500 Oops")
    server.answers(*[reply(b"a\n1\n")] * 3, refused)
    client = client_of(server, tmp_path, max_attempts=1, cache_ttl_s=0)
    before = client.counters.success_rate

    for _ in range(3):
        client.fetch(Request("/fires.csv"))
    for _ in range(6):
        with pytest.raises(SourceUnavailable):
            client.fetch(Request("/fires.csv"))
    counters = client.counters
    client.close()

    assert before is None
    assert counters.success_rate == pytest.approx(3 / 9)
    assert counters.retries == 0


def test_defect_38_an_api_that_hangs_holds_up_no_delivery(tmp_path: Path) -> None:
    """The API answers only after the records of the run before became visible."""
    with make_engine(FakeSource(), [lines(3)], tmp_path) as bench:
        bench.crash = _die_before_delivery
        assert bench.run_once().ledger.pending == 3
        bench.crash = lambda _name: None

        def answers_late(_request: Request) -> str:
            give_up = threading.Event()
            for _ in range(round(LONG_S / 0.01)):
                if bench.kafka.visible(TOPIC) or give_up.wait(0.01):
                    return lines(3)
            return SourceUnavailable("nothing was delivered meanwhile")  # type: ignore[return-value]

        bench.api._function = answers_late
        summary = bench.run_once()

    assert (summary.ending, summary.failed_polls, summary.ledger.published) == ("done", 0, 3)


def _die_before_delivery(name: str) -> None:
    if name == "txn.after_begin":
        raise KeyboardInterrupt


def test_defect_40_polls_go_on_at_their_time_while_records_are_held_back(tmp_path: Path) -> None:
    throttle = ThrottleSettings(consumer_groups={TOPIC: ("readers",)}, batch_size=1)
    backlog: list[int] = []
    with make_engine(
        FakeSource(), [""], tmp_path, throttle=throttle, polling_interval_s=60.0
    ) as bench:

        def reply_to(_request: Request) -> str:
            backlog.append(bench.spool.ledger().pending)
            return lines(200, prefix=f"p{len(backlog)}_")

        bench.api._function = reply_to
        bench.lag.lag = 1_000_000
        summary = bench.run_forever(for_s=600.0)

    assert summary.polls >= 8  # ten, where the machine is not busy with something else
    assert backlog[-1] > 800
    assert (summary.ending, summary.ledger.published) == ("done", 200 * summary.polls)


METHODS = {"poll": (FakeApi, "fetch"), "lag": (FakeLag, "read"), "send": (FakeSink, "send")}


@pytest.mark.parametrize("part", METHODS)
def test_defect_40_a_thread_that_dies_ends_its_run_as_failed(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise ZeroDivisionError(part)

    throttle = ThrottleSettings(consumer_groups={TOPIC: ("readers",)})
    monkeypatch.setattr(*METHODS[part], dies)
    with make_engine(FakeSource(), [lines(2)], tmp_path, throttle=throttle) as bench:
        summary = bench.run_forever(for_s=1e9)

    assert (summary.ending, summary.succeeded) == ("failed", False)
    assert summary.message == f"ZeroDivisionError: {part}"


def test_defect_17_overlapping_answers_are_each_row_once(tmp_path: Path) -> None:
    """Every poll serves the last five rows again, as sources with a sliding window do."""
    polls = iter(range(10**6))

    def window(_request: Request) -> str:
        newest = next(polls)
        return "".join(line(f"s{n}") for n in range(max(0, newest - 4), newest + 1))

    with make_engine(FakeSource(), window, tmp_path, polling_interval_s=30.0) as bench:
        summary = bench.run_forever(for_s=1200.0)

    stations = [m.json()["station"] for m in bench.kafka.visible(TOPIC)]
    assert summary.polls == len(stations) == len(set(stations)) > 30
    assert summary.ledger.duplicate == summary.ledger.fetched - summary.polls
