"""What leaves a full spool is the least urgent, archived first, counted, and never being sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.dispatch.settings import Overflow, QueueSettings
from wildfire_ingest.engine.board import Board
from wildfire_ingest.engine.events import Evicted, PollFailed
from wildfire_ingest.engine.overflow import Room
from wildfire_ingest.errors import SpoolFull
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.record import Lane
from wildfire_ingest.testing import Bench, FakeRoutes, FakeSource, make_engine
from wildfire_ingest_tests.engine.lines import lines
from wildfire_ingest_tests.intake.packing import packed

SIZE = len(packed(size=1000).payload)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_engine(FakeSource(), [lines(1)], tmp_path) as one:
        yield one


def limited(
    bench: Bench, strategy: Overflow, *, loads: int | None = 2, age_s: float | None = None
) -> tuple[Room, Board]:
    """A room for so many loads of SIZE, after recovery."""
    settings = replace(
        bench.settings,
        queue=QueueSettings(overflow=strategy, batch_records=1),
        spool_max_bytes=None if loads is None else loads * SIZE,
        spool_max_age_s=age_s,
    )
    board = Board(settings, bench.spool, bench.clock)
    room = Room(settings, bench.parts(), board)
    room.recovered = True
    return room, board


def put(bench: Bench, *lanes: Lane) -> None:
    loads = [packed(lane, size=1000) for lane in lanes]
    n = len(lanes)
    bench.spool.append(loads, b"1", Ledger(fetched=n, accepted=n), bench.clock.now_us())


def waiting(bench: Bench) -> list[tuple[str, int]]:
    return [(x.lane.name, x.seq) for lane in Lane for x in bench.spool.pending(lane, 0)]


def test_drop_oldest_gives_up_the_oldest_of_the_lowest_lane(bench: Bench) -> None:
    put(bench, Lane.NORMAL, Lane.LOW)
    put(bench, Lane.LOW)
    room, _ = limited(bench, "drop_oldest", loads=3)

    kept, refused = room.make([packed(Lane.NORMAL, size=1000)], bench.clock.now_us())

    assert (len(kept), refused) == (1, Ledger())
    assert waiting(bench) == [("NORMAL", 1), ("LOW", 2)]
    assert [(x.load.lane, x.load.seq) for x in bench.archive.kept] == [(Lane.LOW, 1)]
    assert [(e.lane, e.records) for e in bench.events.of(Evicted)] == [(Lane.LOW, 1)]
    assert (bench.spool.ledger().evicted, bench.spool.ledger().faults()) == (1, ())


def test_drop_newest_refuses_what_comes_and_archives_it(bench: Bench) -> None:
    put(bench, Lane.NORMAL, Lane.NORMAL)
    room, _ = limited(bench, "drop_newest")

    kept, refused = room.make([packed(Lane.NORMAL, size=1000)], bench.clock.now_us())

    assert (kept, refused) == ([], Ledger(evicted=1))
    assert waiting(bench) == [("NORMAL", 1), ("NORMAL", 2)]
    assert len(bench.archive.kept) == 1


def test_block_drops_nothing(bench: Bench) -> None:
    put(bench, Lane.LOW, Lane.LOW)
    room, _ = limited(bench, "block")

    with pytest.raises(SpoolFull, match="polling waits"):
        room.make([packed(Lane.NORMAL, size=1000)], bench.clock.now_us())

    assert (len(waiting(bench)), bench.archive.kept) == (2, [])


@pytest.mark.parametrize("strategy", ["drop_oldest", "drop_newest"])
def test_critical_is_never_dropped(bench: Bench, strategy: Overflow) -> None:
    put(bench, Lane.CRITICAL, Lane.CRITICAL)
    room, _ = limited(bench, strategy)

    with pytest.raises(SpoolFull):
        room.make([packed(Lane.CRITICAL, size=1000)], bench.clock.now_us())

    assert (len(waiting(bench)), bench.archive.kept) == (2, [])


@pytest.mark.parametrize("strategy", ["drop_oldest", "drop_newest"])
def test_before_recovery_nothing_is_dropped_not_even_what_comes(
    bench: Bench, strategy: Overflow
) -> None:
    """What waits may be in Kafka already: until that is known, polling blocks."""
    put(bench, Lane.LOW, Lane.LOW)
    room, _ = limited(bench, strategy)
    room.recovered = False

    with pytest.raises(SpoolFull):
        room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert (len(waiting(bench)), bench.archive.kept) == (2, [])


def test_a_load_in_a_transaction_is_not_evicted(bench: Bench) -> None:
    put(bench, Lane.LOW, Lane.LOW)
    room, board = limited(bench, "drop_oldest")
    board.drain()
    assert [x.seq for x in board.next_batch("bulk").loads] == [1, 2]

    kept, refused = room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert (kept, refused) == ([], Ledger(evicted=1))
    assert waiting(bench) == [("LOW", 1), ("LOW", 2)]


def test_a_load_that_is_being_evicted_is_not_sent(bench: Bench) -> None:
    """The publisher asks for a batch while the archive is being written."""
    put(bench, Lane.LOW, Lane.LOW)
    room, board = limited(bench, "drop_oldest")
    board.drain()
    taken = []
    bench.archive.before_append = lambda _load: taken.append(board.next_batch("bulk", wait=False))

    room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert [batch.loads for batch in taken] == [()]
    assert [x.seq for x in board.next_batch("bulk").loads] == [2]
    assert [x.load.seq for x in bench.archive.kept] == [1]
    assert waiting(bench) == [("LOW", 2)]


def test_a_load_taken_while_victims_were_chosen_is_sent_and_not_evicted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bench, Lane.LOW, Lane.LOW)
    room, board = limited(bench, "drop_oldest")
    board.drain()
    real, once = room._candidates, iter([True])

    def candidates():
        found = real()
        if next(once, False):
            board.next_batch("bulk")
        return found

    monkeypatch.setattr(room, "_candidates", candidates)

    kept, refused = room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert (kept, refused) == ([], Ledger(evicted=1))
    assert waiting(bench) == [("LOW", 1), ("LOW", 2)]


def test_an_archive_that_cannot_be_written_keeps_the_load_and_its_place(bench: Bench) -> None:
    put(bench, Lane.LOW, Lane.LOW)
    room, board = limited(bench, "drop_oldest")
    board.drain()
    assert board.next_batch("bulk").loads
    board.settled("bulk", [])
    bench.archive.full = True

    with pytest.raises(SpoolFull, match="nothing is dropped"):
        room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert waiting(bench) == [("LOW", 1), ("LOW", 2)]
    assert [x.seq for x in board.next_batch("bulk").loads] == [1, 2]


@pytest.mark.parametrize(
    ("strategy", "left", "taken_in"),
    [("drop_oldest", [("LOW", 2)], 1), ("drop_newest", [("LOW", 1), ("LOW", 2)], 0)],
)
def test_an_age_limit_drops_by_its_strategy(
    bench: Bench, strategy: Overflow, left: list[tuple[str, int]], taken_in: int
) -> None:
    put(bench, Lane.LOW)
    bench.clock.advance(100)
    put(bench, Lane.LOW)
    room, _ = limited(bench, strategy, loads=None, age_s=60)

    kept, refused = room.make([packed(Lane.LOW, size=1000)], bench.clock.now_us())

    assert waiting(bench) == left
    assert (len(kept), refused.evicted) == (taken_in, 1 - taken_in)
    assert len(bench.archive.kept) == 1


def test_an_age_limit_that_may_drop_nothing_blocks(bench: Bench) -> None:
    put(bench, Lane.LOW)
    room, _ = limited(bench, "block", loads=None, age_s=60)

    with pytest.raises(SpoolFull, match="spool_max_age_seconds 60"):
        room.make([packed()], bench.clock.now_us() + 61 * SECOND_US)


def test_a_blocked_poll_is_told_and_the_cursor_stays(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"queue": QueueSettings(overflow="block"), "spool_max_bytes": 1}
    with make_engine(FakeSource(), [lines(1)], tmp_path, **settings) as bench:
        summary = bench.run_once()

        assert (summary.ending, bench.spool.cursor()) == ("failed", None)
        assert [e.error_class for e in bench.events.of(PollFailed)] == ["SpoolFull"]


@pytest.mark.parametrize("strategy", ["drop_oldest", "drop_newest"])
def test_a_run_over_a_full_spool_accounts_for_every_row(tmp_path: Path, strategy: Overflow) -> None:
    settings: dict[str, Any] = {
        "queue": QueueSettings(overflow=strategy),
        "spool_max_bytes": 4 * SIZE,
    }
    routes = FakeRoutes(in_lane=Lane.LOW)
    with make_engine(FakeSource(), [""], tmp_path, routes=routes, **settings) as bench:
        put(bench, Lane.LOW, Lane.LOW, Lane.LOW)
        bench.api.reply_with(lines(10))

        summary = bench.run_once()

        assert (summary.ending, summary.ledger_faults) == ("done", ()), summary.message
        total = bench.spool.ledger()
        assert total.accepted == total.published + total.evicted == 13
        assert total.evicted == sum(x.load.records for x in bench.archive.kept)
        assert len(bench.kafka.visible()) == total.published


def test_a_single_poll_waits_until_it_is_known_what_may_be_dropped(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"spool_max_bytes": 2 * SIZE}
    routes = FakeRoutes(in_lane=Lane.LOW)
    with make_engine(FakeSource(), [lines(20)], tmp_path, routes=routes, **settings) as bench:
        put(bench, Lane.LOW, Lane.LOW)
        bench.kafka.go_away(20)

        summary = bench.run_once()

        assert (summary.ending, summary.failed_polls) == ("done", 0)
