"""A long run's life: what ends it, what it tells, and that Dagster's troubles never stop it."""

import threading

import pytest

from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.orchestration.own_run import End
from wildfire_ingest.orchestration.stream import Rhythm, Stream
from wildfire_ingest.testing import FakeClock

RHYTHM = Rhythm(max_run_s=3600.0, window_s=60.0, heartbeat_s=30.0)


class Engine:
    """Streams one record a second of the clock until it is stopped."""

    def __init__(self, clock, error=None):
        self.clock, self.error, self.begun_us = clock, error, clock.monotonic_us()

    def run_forever(self, stop, for_s=None):
        if self.error is not None:
            raise self.error
        while not stop.wait(0.01):
            pass
        return self.snapshot("stopped")

    def snapshot(self, ending="done"):
        age_s = (self.clock.monotonic_us() - self.begun_us) // 1_000_000
        return RunSummary(
            source_id="firms", ending=ending, ledger=Ledger(fetched=age_s), duration_s=float(age_s)
        )


class OwnRun:
    """Dagster's side of the run, as a test wants it."""

    def __init__(self, clock):
        self.clock = clock
        self.end_at_s, self.end, self.off_at_s = None, None, None
        self.beats, self.is_away = [], False
        self.begun_us = clock.monotonic_us()

    def age_s(self):
        return (self.clock.monotonic_us() - self.begun_us) / 1_000_000

    def end_wanted(self):
        self._answer()
        return self.end if self.end_at_s is not None and self.age_s() >= self.end_at_s else None

    def end_wanted_by_switch(self):
        self._answer()
        is_off = self.off_at_s is not None and self.age_s() >= self.off_at_s
        return End("drain", "switched off") if is_off else None

    def beat(self, now_s):
        self._answer()
        self.beats.append(now_s)

    def _answer(self):
        if self.is_away:
            raise OSError("the database is away")


class Stand:
    """A stream over the two."""

    def __init__(self, error=None, rhythm=RHYTHM):
        self.clock = FakeClock()
        self.own_run = OwnRun(self.clock)
        self.pause = None
        self.windows: list[RunSummary] = []
        self.stream = Stream(
            Engine(self.clock, error),
            self.own_run,
            self.clock,
            rhythm,
            is_paused=lambda: self.pause,
            tell=self.windows.append,
        )

    def run(self, stop=None):
        return self.stream.run(stop or threading.Event())


@pytest.fixture
def stand():
    return Stand()


def test_dagsters_wish_ends_the_run_within_seconds(stand):
    stand.own_run.end_at_s, stand.own_run.end = 100.0, End("terminated", "terminated in Dagster")

    outcome = stand.run()

    assert outcome.end == stand.own_run.end
    assert outcome.summary.ending == "stopped"
    assert 100 <= stand.own_run.age_s() < 108


def test_every_window_is_told_and_the_last_piece_is_left_for_the_end(stand):
    stand.own_run.end_at_s, stand.own_run.end = 150.0, End("drain", "changed")

    outcome = stand.run()

    assert len(stand.windows) == 2
    told = sum(window.ledger.fetched for window in stand.windows)
    assert told + outcome.window.ledger.fetched == outcome.summary.ledger.fetched


def test_a_pause_ends_it_well(stand):
    stand.pause = "broker upgrade"

    assert stand.run().end == End("drain", "paused broker upgrade")


def test_its_sensors_switch_ends_it_well(stand):
    stand.own_run.off_at_s = 40.0

    assert stand.run().end == End("drain", "switched off")


def test_its_time_ends_it_well():
    stand = Stand(rhythm=Rhythm(max_run_s=90.0, window_s=60.0, heartbeat_s=30.0))

    assert stand.run().end.wish == "drain"
    assert 90 <= stand.own_run.age_s() < 93


def test_it_gives_signs_of_life_from_its_first_second_on(stand):
    stand.own_run.off_at_s = 100.0
    stand.run()

    assert len(stand.own_run.beats) == 4


def test_a_signal_ends_it_without_anybody_elses_wish(stand):
    stop = threading.Event()
    stop.set()

    assert stand.run(stop).end is None


def test_an_engine_that_fails_fails_the_run():
    with pytest.raises(RuntimeError, match="broken"):
        Stand(error=RuntimeError("broken")).run()


def test_a_database_that_is_away_stops_no_stream():
    stand = Stand(rhythm=Rhythm(max_run_s=290.0, window_s=60.0, heartbeat_s=30.0))
    stand.own_run.is_away = True

    outcome = stand.run()

    assert outcome.end.reason.startswith("its time is up")
    assert len(stand.windows) == 4
