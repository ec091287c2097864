"""What every Clock promises, and what only the fake one does."""

from __future__ import annotations

import threading

import pytest

from wildfire_ingest.clock import SECOND_US, Clock, SystemClock
from wildfire_ingest.testing import FakeClock


@pytest.fixture(params=["system", "fake"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else FakeClock()


def test_a_wait_ends_at_its_time_and_says_that_nothing_happened(clock: Clock) -> None:
    begun_us, begun_wall_us = clock.monotonic_us(), clock.now_us()

    assert clock.wait(threading.Event(), 0.02) is False

    assert clock.monotonic_us() - begun_us >= 20_000
    assert clock.now_us() - begun_wall_us >= 19_000  # a real wall clock may be slewed


def test_a_set_event_ends_a_wait_at_once(clock: Clock) -> None:
    event = threading.Event()
    event.set()

    assert clock.wait(event, 3600) is True


def test_no_time_is_no_wait(clock: Clock) -> None:
    assert clock.wait(threading.Event(), 0) is False
    assert clock.wait(threading.Event(), -5) is False


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    looks = [clock.monotonic_us() for _ in range(100)]

    assert looks == sorted(looks)


def test_an_event_set_by_another_thread_ends_the_wait() -> None:
    clock, event = FakeClock(jumps=False), threading.Event()
    setter = threading.Thread(target=event.set)

    setter.start()

    assert clock.wait(event, 3600) is True
    assert clock.monotonic_us() == 0
    setter.join()


def test_time_stands_still_until_the_test_moves_it() -> None:
    clock = FakeClock(jumps=False)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(clock.wait(threading.Event(), 60)))
    waiting.start()
    while not clock.waits:
        pass

    clock.advance(59)
    waiting.join(0.02)
    early = list(found)
    clock.advance(1)
    waiting.join(10)

    assert (early, found) == ([], [False])


def test_time_jumps_to_whoever_waits_for_the_earliest_moment() -> None:
    clock, order = FakeClock(), []
    barrier = threading.Barrier(3)

    def wait(seconds: float) -> None:
        barrier.wait()
        clock.wait(threading.Event(), seconds)
        order.append((seconds, clock.monotonic_us() // SECOND_US))

    threads = [threading.Thread(target=wait, args=(s,)) for s in (30.0, 10.0, 20.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(order) == [(10.0, 10), (20.0, 20), (30.0, 30)]


def test_a_clock_that_is_set_back_does_not_turn_monotonic_time_back() -> None:
    clock = FakeClock(start_us=5_000)
    clock.advance(1)

    clock.set_wall(1_000)

    assert (clock.now_us(), clock.monotonic_us()) == (1_000, SECOND_US)


def test_fake_time_stands_still_while_a_thread_works() -> None:
    """However long it has to wait for a processor."""
    clock, rested = FakeClock(), threading.Event()

    def work() -> None:
        while not rested.is_set():
            pass

    worker = threading.Thread(target=work)
    waiter = threading.Thread(target=lambda: clock.wait(threading.Event(), 60.0))
    worker.start()
    waiter.start()
    waiter.join(0.3)
    assert waiter.is_alive()

    rested.set()
    waiter.join(10)
    worker.join(10)

    assert clock.monotonic_us() == 60_000_000
