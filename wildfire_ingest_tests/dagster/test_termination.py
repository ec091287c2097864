"""Terminate asks the engine to stop, and the run ends as canceled and not as a success."""

import os
import signal
import threading

import pytest
from dagster import DagsterExecutionInterruptedError

from wildfire_ingest.orchestration.termination import graceful


def interrupted(number, stops):
    """What a step does that is told to stop in its middle."""
    with graceful() as stop:
        os.kill(os.getpid(), number)
        stops.append(stop.wait(5))


def interrupted_and_failing():
    with graceful() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        stop.wait(5)
        raise RuntimeError("the broker is away")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_sets_the_event_and_is_raised_at_the_end(number):
    stops: list[bool] = []

    with pytest.raises(DagsterExecutionInterruptedError):
        interrupted(number, stops)

    assert stops == [True]


def test_an_error_during_the_drain_does_not_hide_the_interrupt():
    with pytest.raises(DagsterExecutionInterruptedError):
        interrupted_and_failing()


def test_without_a_signal_nothing_is_raised_and_the_old_actions_are_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with graceful() as stop:
        assert signal.getsignal(signal.SIGTERM) is not before[1]

    assert not stop.is_set()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_off_the_main_thread_it_leaves_the_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    inside = []

    def work():
        with graceful():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert inside == [before]
