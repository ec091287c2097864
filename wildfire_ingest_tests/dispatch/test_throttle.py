"""The throttle follows the consumers' lag, bounds the rate, and never holds an alert."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wildfire_ingest.dispatch.settings import ThrottleSettings
from wildfire_ingest.dispatch.throttle import (
    NO_LIMIT,
    Pause,
    Send,
    ThrottleReport,
    ThrottleState,
    decide,
    observe,
    report,
    sent,
)
from wildfire_ingest.record import Lane

SECOND_US = 1_000_000
LAG_ONLY = ThrottleSettings(max_send_rate=0, consumer_groups={"wildfire-test": ("readers",)})
RATE_ONLY = ThrottleSettings(max_send_rate=100, batch_size=50)
THROTTLED = (Lane.HIGH, Lane.NORMAL, Lane.LOW)


def after(*lags: int | None, config: ThrottleSettings = LAG_ONLY) -> ThrottleState:
    """The state after these samples, one each 5 s, the last one at time 0."""
    state = ThrottleState()
    for step, lag in enumerate(lags):
        state = observe(config, state, lag, (step + 1 - len(lags)) * 5 * SECOND_US)
    return state


def pause_s(state: ThrottleState, *, n: int = 500, config: ThrottleSettings = LAG_ONLY) -> float:
    """How long a NORMAL lane pauses after `n` records at time 0."""
    match decide(config, sent(config, state, n, 0), lane=Lane.NORMAL, now_us=0):
        case Pause(until_us):
            return until_us / SECOND_US
        case Send():
            return 0.0


@pytest.mark.parametrize(
    ("lags", "at_most", "then_s"),
    [
        ([], NO_LIMIT, 0),
        ([0], NO_LIMIT, 0),
        ([999], NO_LIMIT, 0),
        ([1000], 500, 1),
        ([5000], 500, 1),
        ([5001], 500, 2),
        ([5001] * 2, 500, 4),
        ([5001] * 3, 500, 8),
        ([5001] * 4, 500, 16),
        ([5001] * 40, 500, 16),
        ([10**18], 500, 2),
    ],
)
def test_each_band_has_its_batch_and_its_pause(
    lags: list[int | None], at_most: int, then_s: float
) -> None:
    state = after(*lags)

    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=0) == Send(at_most)
    assert pause_s(state) == then_s


@pytest.mark.parametrize(
    ("lags", "state"),
    [
        ([999], "NORMAL"),
        ([1000, 999], "MODERATE"),
        ([1000, 801], "MODERATE"),
        ([1000, 799], "NORMAL"),
        ([5001, 4999], "CRITICAL"),
        ([5001, 4001], "CRITICAL"),
        ([5001, 4000], "MODERATE"),
        ([5001, 4000, 4001], "MODERATE"),
        ([5001, 900], "MODERATE"),
        ([5001, 0], "NORMAL"),
    ],
)
def test_a_band_is_left_only_well_below_the_lag_at_which_it_was_entered(
    lags: list[int | None], state: str
) -> None:
    assert report(LAG_ONLY, after(*lags), 0).state == state


def test_defect_29_ten_low_samples_take_one_level_down_and_so_on_to_the_bottom() -> None:
    risen = [6000] * 4
    levels = [report(LAG_ONLY, after(*risen, *[0] * n), 0).level for n in (0, 9, 10, 20, 39, 40)]

    assert levels == [4, 4, 3, 2, 1, 0]


def test_defect_29_a_sample_that_is_not_low_begins_the_count_anew() -> None:
    assert report(LAG_ONLY, after(6000, *[0] * 9, 1500, *[0] * 9), 0).level == 1


def test_defect_29_the_lag_of_one_lane_does_not_slow_another() -> None:
    state = observe(LAG_ONLY, ThrottleState(), 9000, 0, lane=Lane.LOW)
    state = observe(LAG_ONLY, state, 0, 0, lane=Lane.HIGH)

    assert decide(LAG_ONLY, state, lane=Lane.LOW, now_us=0) == Send(500)
    assert decide(LAG_ONLY, state, lane=Lane.HIGH, now_us=0) == Send(NO_LIMIT)


def test_defect_29_the_rate_is_enforced_and_not_only_computed() -> None:
    state = sent(RATE_ONLY, ThrottleState(), 50, 0)

    assert decide(RATE_ONLY, state, lane=Lane.HIGH, now_us=0) == Pause(10_000)
    assert decide(RATE_ONLY, state, lane=Lane.HIGH, now_us=10_000) == Send(1)
    assert decide(RATE_ONLY, state, lane=Lane.HIGH, now_us=SECOND_US) == Send(50)


def test_defect_28_a_verdict_is_asked_for_any_number_of_times_and_changes_nothing() -> None:
    state = sent(LAG_ONLY, after(6000), 500, 0)

    verdicts = {decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=0) for _ in range(100)}

    assert verdicts == {Pause(2 * SECOND_US)}
    assert report(LAG_ONLY, state, 0).level == 1


def test_an_unknown_lag_keeps_the_verdict_for_60_s_and_is_moderate_after_that() -> None:
    state = observe(LAG_ONLY, after(6000, 6000), None, SECOND_US)

    assert pause_s(state) == 4
    assert report(LAG_ONLY, state, SECOND_US).state == "UNKNOWN"
    later = 60 * SECOND_US
    moved = sent(LAG_ONLY, state, 500, later)
    assert decide(LAG_ONLY, moved, lane=Lane.NORMAL, now_us=later) == Pause(later + SECOND_US)


def test_a_lag_unknown_from_the_start_sends_for_60_s_and_is_moderate_after_that() -> None:
    state = observe(LAG_ONLY, after(None), None, 59 * SECOND_US)

    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=59 * SECOND_US) == Send(NO_LIMIT)
    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=60 * SECOND_US) == Send(500)


def test_a_lag_reader_that_hangs_is_an_unknown_lag_too() -> None:
    state = after(0)

    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=60 * SECOND_US) == Send(500)
    assert report(LAG_ONLY, state, 60 * SECOND_US).state == "UNKNOWN"


def test_a_negative_lag_is_unknown_and_not_low() -> None:
    assert pause_s(after(6000, -5)) == 2


def test_no_consumer_group_configured_means_no_lag_throttle() -> None:
    config = replace(LAG_ONLY, consumer_groups={"wildfire-test": ()})

    state = after(10**9, None, config=config)

    assert decide(config, state, lane=Lane.LOW, now_us=900 * SECOND_US) == Send(NO_LIMIT)
    assert report(config, state, 900 * SECOND_US).state == "NORMAL"


def test_a_throttle_that_is_disabled_sends_everything() -> None:
    config = replace(LAG_ONLY, enabled=False, max_send_rate=1)

    state = sent(config, after(10**6, config=config), 10_000, 0)

    assert decide(config, state, lane=Lane.LOW, now_us=0) == Send(NO_LIMIT)


def test_a_pause_ends_early_when_the_lag_falls() -> None:
    state = sent(LAG_ONLY, after(*[6000] * 4), 500, 0)

    state = observe(LAG_ONLY, state, 0, SECOND_US)

    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=SECOND_US) == Send(NO_LIMIT)


def test_a_pause_is_not_drawn_out_when_the_lag_rises() -> None:
    state = sent(LAG_ONLY, after(6000), 500, 0)

    state = observe(LAG_ONLY, observe(LAG_ONLY, state, 6000, 1), 6000, 2)

    assert decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=2 * SECOND_US) == Send(500)


def test_a_load_larger_than_a_batch_pauses_for_as_many_batches() -> None:
    assert pause_s(after(6000), n=5_000) == 20


def test_two_lanes_of_one_transaction_pause_for_both_together() -> None:
    state = sent(LAG_ONLY, after(6000), 5_000, 0, lane=Lane.NORMAL)

    state = sent(LAG_ONLY, state, 500, 0, lane=Lane.LOW)

    for lane in (Lane.NORMAL, Lane.LOW):
        assert decide(LAG_ONLY, state, lane=lane, now_us=0) == Pause(22 * SECOND_US)


def test_a_trickle_is_not_paused_below_the_minimum_rate() -> None:
    assert pause_s(after(*[6000] * 4), n=3, config=replace(LAG_ONLY, min_send_rate=1.5)) == 2


def test_the_bulk_lanes_pause_together_and_high_by_itself() -> None:
    state = sent(LAG_ONLY, after(2000), 500, 0, lane=Lane.LOW)

    assert isinstance(decide(LAG_ONLY, state, lane=Lane.NORMAL, now_us=0), Pause)
    assert decide(LAG_ONLY, state, lane=Lane.HIGH, now_us=0) == Send(500)


def test_alerts_use_up_the_rate_of_their_source_but_pause_no_lane_for_lag() -> None:
    config = replace(LAG_ONLY, max_send_rate=100)

    state = sent(config, after(2000, config=config), 150, 0, lane=Lane.CRITICAL)

    assert decide(LAG_ONLY, state, lane=Lane.HIGH, now_us=0) == Send(500)
    assert decide(config, state, lane=Lane.HIGH, now_us=0) == Pause(510_000)


def test_a_source_that_was_never_sampled_is_reported_as_unknown() -> None:
    assert report(LAG_ONLY, ThrottleState(), 0) == ThrottleReport(
        state="UNKNOWN", level=0, adjustments=0, lag=None
    )


def test_every_change_of_band_or_level_is_an_adjustment() -> None:
    found = report(LAG_ONLY, after(0, 2000, 2000, 6000, 6000, 0), 0)

    assert found == ThrottleReport(state="NORMAL", level=2, adjustments=4, lag=0)


lags = st.none() | st.integers(-10, 20_000)
configs = st.builds(
    ThrottleSettings,
    min_send_rate=st.sampled_from([0.5, 1.0, 20.0]),
    max_send_rate=st.sampled_from([0.7, 3.0, 40.0, 1000.0]),
    batch_size=st.sampled_from([1, 10, 500]),
    consumer_groups=st.sampled_from([{}, {"wildfire-test": ("readers",)}]),
)
steps = st.lists(
    st.tuples(st.integers(0, 20 * SECOND_US), lags, st.sampled_from(THROTTLED)),
    min_size=1,
    max_size=60,
)


@given(configs, steps, st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_critical_is_never_delayed(
    config: ThrottleSettings, history: list[tuple[int, int | None, Lane]], n: int
) -> None:
    now_us, state = 0, ThrottleState()
    for wait_us, lag, lane in history:
        now_us += wait_us
        state = sent(config, observe(config, state, lag, now_us), n, now_us, lane=lane)

        assert decide(config, state, lane=Lane.CRITICAL, now_us=now_us) == Send(NO_LIMIT)


@given(configs, steps)
@settings(max_examples=150, deadline=None)
def test_no_window_holds_more_than_its_rate_and_one_burst(
    config: ThrottleSettings, history: list[tuple[int, int | None, Lane]]
) -> None:
    now_us, state = 0, ThrottleState()
    sends: list[tuple[int, int]] = []
    for wait_us, lag, lane in history:
        now_us += wait_us
        state = observe(config, state, lag, now_us)
        match decide(config, state, lane=lane, now_us=now_us):
            case Send(at_most):
                state = sent(config, state, at_most, now_us, lane=lane)
                sends.append((now_us, at_most))
            case Pause():
                pass

    burst = max(1, min(config.batch_size, int(config.max_send_rate)))
    for first, (from_us, _) in enumerate(sends):
        for last in range(first, len(sends)):
            window_s = (sends[last][0] - from_us) / SECOND_US
            total = sum(n for _, n in sends[first : last + 1])
            assert total <= config.max_send_rate * window_s + burst + 1e-3


@given(configs, steps, st.integers(1, 700))
@example(replace(RATE_ONLY, max_send_rate=0.7, batch_size=1), [(0, None, Lane.HIGH)], 63)
@settings(max_examples=150, deadline=None)
def test_waiting_as_told_is_always_enough(
    config: ThrottleSettings, history: list[tuple[int, int | None, Lane]], n: int
) -> None:
    now_us, state = 0, ThrottleState()
    for wait_us, lag, lane in history:
        now_us += wait_us
        state = sent(config, observe(config, state, lag, now_us), n, now_us, lane=lane)
        match decide(config, state, lane=lane, now_us=now_us):
            case Pause(until_us):
                now_us = until_us
            case Send():
                pass
        state = observe(config, state, lag, now_us)

        assert isinstance(decide(config, state, lane=lane, now_us=now_us), Send)


@given(st.lists(lags, max_size=40), st.integers(1, 2_000), st.sampled_from([0.5, 1.0, 90.0]))
@settings(max_examples=150, deadline=None)
def test_a_throttled_source_still_gets_its_minimum_rate(
    samples: list[int | None], at_hand: int, min_send_rate: float
) -> None:
    config = replace(LAG_ONLY, min_send_rate=min_send_rate)
    now_us, state, total = 0, ThrottleState(), 0
    for lag in samples:
        state = observe(config, state, lag, now_us)
        match decide(config, state, lane=Lane.LOW, now_us=now_us):
            case Send(at_most):
                n = min(at_most, at_hand)
                total += n
                state = sent(config, state, n, now_us, lane=Lane.LOW)
                verdict = decide(config, state, lane=Lane.LOW, now_us=now_us)
                now_us = verdict.until_us if isinstance(verdict, Pause) else now_us
            case Pause(until_us):
                now_us = until_us

    assert total >= min_send_rate * now_us / SECOND_US - 1


@given(st.lists(lags, max_size=40), lags)
@settings(max_examples=150, deadline=None)
def test_the_level_moves_by_one_and_rises_only_with_a_critical_sample(
    samples: list[int | None], lag: int | None
) -> None:
    before = report(LAG_ONLY, after(*samples), 0).level
    level = report(LAG_ONLY, after(*samples, lag), 0).level

    assert 0 <= level <= 4
    assert abs(level - before) <= 1
    assert level <= before or (lag is not None and lag > 5000)


@given(st.lists(lags, max_size=30), st.integers(0, 20_000), st.integers(0, 20_000))
@settings(max_examples=150, deadline=None)
def test_a_larger_lag_never_means_a_shorter_pause(
    samples: list[int | None], one: int, other: int
) -> None:
    low, high = sorted((one, other))

    assert pause_s(after(*samples, low)) <= pause_s(after(*samples, high))


def test_bands_that_lie_close_together_are_left_one_after_the_other() -> None:
    config = replace(LAG_ONLY, target_lag=1000, critical_lag=1100)

    assert report(config, after(1200, 950, config=config), 0).state == "MODERATE"
