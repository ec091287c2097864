"""How fast a source went: samples of its totals that every run leaves with the spool."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.engine.pace import (
    MAX_SAMPLES,
    SPACING_US,
    WINDOW_US,
    Pace,
    Sample,
    decoded,
    encoded,
    is_due,
    rates,
    sampled,
)
from wildfire_ingest.errors import SpoolFull
from wildfire_ingest.observe.spool_view import view
from wildfire_ingest.testing import FakeClock, FakeSource, make_engine
from wildfire_ingest_tests.engine.lines import NOON_S, line, lines

HOUR_US = 3600 * SECOND_US


def paced(*samples):
    pace = Pace()
    for sample in samples:
        pace = sampled(pace, Sample(*sample))
    return pace


@given(st.lists(st.integers(0, 60 * SECOND_US), max_size=40))
def test_samples_are_few_and_no_three_are_close_and_the_last_is_kept(gaps_us):
    pace, at_us = Pace(), 0
    for number, gap_us in enumerate(gaps_us):
        at_us += gap_us
        pace = sampled(pace, Sample(at_us, number, number))

        assert pace.samples[-1] == Sample(at_us, number, number)
    times = [one.at_us for one in pace.samples]
    assert len(times) <= MAX_SAMPLES
    assert all(c - a >= SPACING_US for a, c in zip(times, times[2:], strict=False))


@given(
    per_s=st.integers(0, 1000),
    beats=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    after_s=st.integers(1, 900),
)
def test_a_steady_pace_is_shown_whenever_one_looks(per_s, beats, after_s):
    pace, at_s = paced((0, 0, 0)), 0
    for beat in beats:
        at_s += beat
        pace = sampled(pace, Sample(at_s * SECOND_US, at_s * per_s, at_s * per_s * 2))
    now_s = at_s + after_s

    found = rates(pace, Sample(now_s * SECOND_US, now_s * per_s, now_s * per_s * 2))

    assert found is not None
    assert found.fetched_per_s == pytest.approx(per_s)
    assert found.published_per_s == pytest.approx(2 * per_s)


def test_only_the_last_minutes_count():
    pace = paced((0, 0, 0), (HOUR_US, 3_600, 3_600), (HOUR_US + 60 * SECOND_US, 4_200, 3_600))

    found = rates(pace, Sample(HOUR_US + 120 * SECOND_US, 4_800, 3_600))

    assert found is not None
    assert (found.fetched_per_s, found.published_per_s, found.over_s) == (10.0, 0.0, 120.0)


def test_a_source_that_ended_long_ago_goes_at_no_pace():
    pace = paced((0, 0, 0), (30 * SECOND_US, 9_000, 9_000))

    found = rates(pace, Sample(HOUR_US, 9_000, 9_000))

    assert found is not None
    assert (found.fetched_per_s, found.published_per_s) == (0.0, 0.0)
    assert found.over_s > WINDOW_US / SECOND_US


@pytest.mark.parametrize(
    ("pace", "now_us"),
    [(Pace(), HOUR_US), (paced((HOUR_US, 1, 1)), HOUR_US), (paced((HOUR_US, 1, 1)), 5)],
    ids=["no sample", "a sample of now", "a sample of the future"],
)
def test_there_is_no_rate_without_a_time_to_take_it_over(pace, now_us):
    assert rates(pace, Sample(now_us, 1, 1)) is None


def test_a_clock_that_was_set_back_begins_anew():
    pace = paced((HOUR_US, 5, 5), (2 * HOUR_US, 9, 9))
    back = Sample(HOUR_US + SECOND_US, 9, 9)

    assert is_due(pace, back.at_us)
    assert sampled(pace, back).samples == (Sample(HOUR_US, 5, 5), back)


@given(st.builds(Pace, st.lists(st.builds(Sample, *[st.integers(0, 1 << 60)] * 3)).map(tuple)))
def test_a_pace_is_read_as_it_was_stored(pace):
    assert decoded(encoded(pace)) == pace


@pytest.mark.parametrize("stored", [None, 5, b"{}", "", "{", '{"samples":[["x"]]}', "[1,2]"])
def test_what_cannot_be_read_is_no_pace(stored):
    assert decoded(stored) == Pace()


# what a run leaves


ROWS = 30


@pytest.fixture
def asked_us():
    """When each poll was answered, with so many new rows."""
    return []


@pytest.fixture
def bench(tmp_path, asked_us):
    clock = FakeClock(quiet_s=0.02)

    def more(_request):
        asked_us.append(clock.now_us())
        return lines(ROWS, prefix=f"poll{len(asked_us)}-")

    source = FakeSource()
    with make_engine(source, more, tmp_path, clock=clock, polling_interval_s=10.0) as one:
        yield one


def shown(bench, tmp_path, after_s=0):
    found = view(tmp_path, "source")
    assert found is not None
    now_us = bench.clock.now_us() + after_s * SECOND_US
    return found, rates(found.pace, Sample(now_us, found.ledger.fetched, found.ledger.published))


@pytest.mark.parametrize("after_s", [0, 120, 3_600])
def test_the_rates_of_a_run_are_what_it_did(bench, tmp_path, asked_us, after_s):
    bench.run_forever(200)

    _, found = shown(bench, tmp_path, after_s)

    assert found is not None
    since_us = bench.clock.now_us() + (after_s - found.over_s) * SECOND_US
    truly = ROWS * sum(at_us > since_us for at_us in asked_us)
    # A poll that is answered at the moment of a sample may count on either side.
    assert found.fetched_per_s * found.over_s == pytest.approx(truly, abs=ROWS)
    assert found.published_per_s * found.over_s == pytest.approx(truly, abs=2 * ROWS)
    assert (truly == 0) is (after_s == 3_600)


def test_the_newest_observation_is_kept_beside_the_samples(bench, tmp_path):
    bench.run_once()

    found, _ = shown(bench, tmp_path)

    assert found.newest_observed_s == found.pace.newest_observed_s == NOON_S


def test_a_dead_letters_time_is_no_observation(bench, tmp_path):
    bench.api.reply_with(line("old", days_ago=3) + "no row\n")

    bench.run_once()

    found, _ = shown(bench, tmp_path)
    assert found.ledger.dead == 1
    assert found.newest_observed_s == NOON_S - 3 * 86_400


def test_a_disk_that_is_full_costs_the_trace_and_not_the_run(bench, monkeypatch):
    def full(**_values):
        if "pace" in _values:
            raise SpoolFull("the disk is full")

    monkeypatch.setattr(bench.spool, "set_meta", full)

    assert bench.run_once().succeeded
