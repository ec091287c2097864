"""The four questions about a source, answered from numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.dispatch.settings import ThrottleSettings
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.observe.checks import (
    conservation,
    consumer_lag,
    dead_letter_ratio,
    worst,
    zero_records,
)

HOUR_S = 3600.0
GROUPS = ThrottleSettings(consumer_groups={"topic": ("readers",)})


def taken(good, bad):
    return Ledger(fetched=good + bad, accepted=good, rejected=bad)


@pytest.mark.parametrize(
    ("good", "bad", "level"),
    [
        (0, 0, "ok"),
        (990, 10, "ok"),
        (980, 20, "warn"),
        (900, 100, "warn"),
        (800, 200, "fail"),
        (0, 1, "warn"),  # one bad row in a small poll
        (0, 5, "fail"),
    ],
)
def test_dead_letters_are_judged_by_their_part_of_the_rows_taken_in(good, bad, level):
    assert dead_letter_ratio(taken(good, bad)).level == level


def test_rows_known_before_do_not_hide_the_bad_ones():
    repeated = Ledger(fetched=100_000, duplicate=99_900, accepted=50, rejected=50)

    assert dead_letter_ratio(repeated).level == "fail"


def test_a_rejected_row_that_became_a_dead_letter_counts_once():
    delivered = Ledger(fetched=1000, accepted=992, rejected=8, published=1000, dead=8)

    assert dead_letter_ratio(delivered).numbers["bad_rows"] == 8
    assert dead_letter_ratio(delivered).level == "ok"


def test_a_bad_window_shows_although_the_life_is_good():
    answer = dead_letter_ratio(taken(1_000_000, 60), taken(40, 60))

    assert answer.level == "fail"
    assert "in the last window 60 of 100" in answer.reason


def test_dead_letters_of_an_earlier_window_are_measured_against_what_goes_out():
    late = Ledger(published=1000, dead=8)

    assert dead_letter_ratio(taken(5000, 8), late).level == "ok"


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_ratio_is_never_more_than_all(accepted, rejected, published, dead):
    ledger = Ledger(accepted=accepted, rejected=rejected, published=published, dead=dead)

    answer = dead_letter_ratio(ledger, ledger)

    assert 0 <= answer.numbers["dead_letter_pct"] <= 100


@pytest.mark.parametrize(
    ("lag", "level"), [(0, "ok"), (1000, "ok"), (1001, "warn"), (5001, "fail")]
)
def test_lag_is_judged_by_the_throttles_limits(lag, level):
    assert consumer_lag(GROUPS, lag, HOUR_S).level == level


def test_a_lag_that_nobody_asks_for_is_fine():
    assert consumer_lag(ThrottleSettings(), None, HOUR_S).level == "ok"


def test_a_lag_that_stays_unknown_is_a_warning_but_not_at_the_start():
    assert consumer_lag(GROUPS, None, 5.0).level == "ok"
    assert consumer_lag(GROUPS, None, 60.0).level == "warn"


@pytest.mark.parametrize(
    ("row_h", "poll_h", "polled_h", "level"),
    [
        (23, 0, 0, "ok"),
        (25, 0, 0, "warn"),
        (25, 25, 0, "ok"),  # no poll succeeded: another question
        (25, None, 0, "ok"),
        (None, 0, 1, "ok"),
        (None, 0, 25, "warn"),
    ],
)
def test_silence_is_polls_that_succeed_and_bring_nothing(row_h, poll_h, polled_h, level):
    answer = zero_records(
        row_age_s=None if row_h is None else row_h * HOUR_S,
        poll_age_s=None if poll_h is None else poll_h * HOUR_S,
        limit_s=24 * HOUR_S,
        polled_for_s=polled_h * HOUR_S,
    )

    assert answer.level == level


def test_books_that_do_not_close_fail():
    assert conservation(()).passed
    assert conservation(("fetched 4 rows, 3 of them explained",)).level == "fail"


def test_the_worst_of_no_verdict_is_ok():
    assert worst([]) == "ok"
    assert worst(["ok", "fail", "warn"]) == "fail"
