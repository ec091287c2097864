"""The board: who waits for what, on whose clock, and what may be evicted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wildfire_ingest.dispatch.settings import QueueSettings, ThrottleSettings
from wildfire_ingest.engine.board import Batch, Board
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.record import Lane
from wildfire_ingest.testing import FakeClock
from wildfire_ingest_tests.intake.packing import packed


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    one = Spool(
        SpoolSettings(
            directory=tmp_path / "s", source_id="s", window_s=86_400, min_free_disk_bytes=0
        )
    )
    yield one
    one.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(quiet_s=0)


def board_of(spool: Spool, clock: FakeClock, **throttle: object) -> Board:
    settings = EngineSettings(
        source_id="s",
        dlq_topic="d",
        queue=QueueSettings(batch_records=10, batch_timeout_s=5.0),
        throttle=ThrottleSettings(**throttle),  # type: ignore[arg-type]
    )
    return Board(settings, spool, clock)


def put(spool: Spool, clock: FakeClock, *lanes: Lane, n: int = 1) -> None:
    spool.append([packed(lane, n) for lane in lanes], b"c", Ledger(), clock.now_us())


def seqs(batch: Batch) -> list[tuple[Lane, int]]:
    return [(load.lane, load.seq) for load in batch.loads]


def test_bulk_records_gather_for_their_time_on_the_boards_clock(
    spool: Spool, clock: FakeClock
) -> None:
    put(spool, clock, Lane.NORMAL)

    batch = board_of(spool, clock).next_batch("bulk")

    assert seqs(batch) == [(Lane.NORMAL, 1)]
    assert clock.waits == [5.0]


def test_a_whole_batch_goes_at_once(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.LOW, n=10)

    assert seqs(board_of(spool, clock).next_batch("bulk")) == [(Lane.LOW, 1)]
    assert clock.waits == []


def test_critical_goes_at_once_and_alone(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.HIGH, Lane.CRITICAL)
    board = board_of(spool, clock)

    assert seqs(board.next_batch("express")) == [(Lane.CRITICAL, 1)]
    assert seqs(board.next_batch("express")) == [(Lane.HIGH, 1)]


def test_the_end_of_a_run_sends_what_has_not_gathered_long(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.NORMAL)
    board = board_of(spool, clock)

    board.drain()

    assert seqs(board.next_batch("bulk")) == [(Lane.NORMAL, 1)]
    assert board.next_batch("bulk") == Batch()
    assert clock.waits == []


def test_after_a_stop_nobody_gets_anything(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.CRITICAL, Lane.NORMAL)
    board = board_of(spool, clock)

    board.stop()

    assert board.next_batch("express") == board.next_batch("bulk") == Batch()
    assert not board.pause(60)


def test_what_was_not_sent_comes_back_in_its_place(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.HIGH)
    put(spool, clock, Lane.HIGH)
    board = board_of(spool, clock)
    taken = board.next_batch("express").loads

    board.settled("express", taken[:1])

    assert seqs(board.next_batch("express")) == [(Lane.HIGH, 2)]


def test_no_lane_asked_for_is_no_lane_taken(spool: Spool, clock: FakeClock) -> None:
    """Lanes whose records the broker refused wait 1, 2, 4 s: both of them may."""
    put(spool, clock, Lane.NORMAL, Lane.LOW)
    board = board_of(spool, clock)
    board.drain()

    assert board.next_batch("bulk", ()) == Batch()


def test_who_may_not_wait_is_told_when_the_batch_is_due(spool: Spool, clock: FakeClock) -> None:
    put(spool, clock, Lane.NORMAL)

    batch = board_of(spool, clock).next_batch("bulk", wait=False)

    assert batch == Batch(wait_s=5.0)
    assert clock.waits == []


def test_a_lag_beyond_the_target_pauses_high_but_not_critical(
    spool: Spool, clock: FakeClock
) -> None:
    board = board_of(spool, clock, consumer_groups={"t": ("g",)}, min_send_rate=0)
    for lane in (Lane.HIGH, Lane.NORMAL, Lane.LOW):
        board.observe_lag(lane, 9_000)
    put(spool, clock, Lane.HIGH)
    board.settled("express", board.next_batch("express").loads)
    put(spool, clock, Lane.HIGH, Lane.CRITICAL)

    critical, high = board.next_batch("express"), board.next_batch("express")

    assert seqs(critical) == [(Lane.CRITICAL, 1)]
    assert high == Batch(wait_s=2.0, throttled=True)


def test_news_ends_a_wait_at_once(spool: Spool) -> None:
    clock = FakeClock(jumps=False)
    board = board_of(spool, clock)
    found: list[Batch] = []
    waiting = threading.Thread(target=lambda: found.append(board.next_batch("express")))
    waiting.start()

    put(spool, clock, Lane.CRITICAL)
    board.wake()
    waiting.join(10)

    assert [seqs(batch) for batch in found] == [[(Lane.CRITICAL, 1)]]


def test_a_lane_whose_consumers_are_behind_does_not_hold_back_the_other(
    spool: Spool, clock: FakeClock
) -> None:
    put(spool, clock, Lane.NORMAL, Lane.LOW, n=10)
    board = board_of(spool, clock, consumer_groups={"t": ("g",)}, max_send_rate=0)
    board.observe_lag(Lane.NORMAL, 10_000)
    first = board.next_batch("bulk")
    board.settled("bulk", first.loads)
    put(spool, clock, Lane.NORMAL, Lane.LOW, n=10)

    held = board.next_batch("bulk", (Lane.NORMAL,))
    free = board.next_batch("bulk")

    assert held.throttled
    assert {load.lane for load in free.loads} == {Lane.LOW}
