"""The bounds of pace, quota, circuit and retry, for any timing and for several processes."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildfire_ingest.errors import SourceUnavailable
from wildfire_ingest.fetch import shared_state
from wildfire_ingest.fetch.circuit import (
    Circuit,
    CircuitPolicy,
    Pass,
    Refuse,
    ask,
    failed,
    not_asked,
    succeeded,
)
from wildfire_ingest.fetch.circuits import SourceCircuit
from wildfire_ingest.fetch.quota import Limits
from wildfire_ingest.fetch.rate_limit import Admit, Quota, Rate, Spent, Wait, admit, spend
from wildfire_ingest.fetch.retry import (
    LONGEST_PAUSE_US,
    GiveUp,
    RetryIn,
    RetryPolicy,
    next_retry,
    parse_retry_after,
)
from wildfire_ingest.fetch.settings import ApiQuota, FetchSettings
from wildfire_ingest.fetch.shared_state import SharedState

NOW = 1_800_000_000_000_000
DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
gaps = st.lists(st.integers(0, 4000), min_size=1, max_size=80)
rates = st.builds(Rate, st.integers(1, 20), st.integers(1, 5000), st.integers(1, 10))


def _most_in_a_window(times: list[tuple[int, int]], interval_us: int) -> int:
    return max((sum(n for u, n in times if t <= u < t + interval_us) for t, _ in times), default=0)


@given(rates, gaps)
def test_a_rate_admits_at_most_limit_and_burst_less_one(rate, steps):
    now, state, admitted = NOW, 0, []
    for step in steps:
        now += step
        verdict = admit(rate, state, now)
        if isinstance(verdict, Admit):
            state = verdict.state
            admitted.append((now, 1))

    assert _most_in_a_window(admitted, rate.interval_us) <= rate.limit + rate.burst - 1


@given(rates, gaps)
def test_waiting_as_told_is_always_enough_and_never_too_much(rate, steps):
    now, state = NOW, 0
    for step in steps:
        now += step
        verdict = admit(rate, state, now)
        if isinstance(verdict, Wait):
            assert isinstance(admit(rate, state, now + verdict.wait_us - 1), Wait)
            now += verdict.wait_us
            verdict = admit(rate, state, now)
        assert isinstance(verdict, Admit)
        state = verdict.state


@given(st.integers(1, 500), st.none() | st.integers(1, 600))
def test_a_burst_never_adds_to_the_limit(limit, burst):
    rate = Rate.within(limit, MINUTE_US, burst)

    assert rate.limit + rate.burst - 1 == limit


@given(
    st.integers(1, 50),
    st.integers(1, 3000),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 50)), max_size=60),
)
def test_a_quota_is_never_exceeded_and_its_wait_is_enough(units, interval_us, asked):
    quota, now = Quota(units, interval_us), NOW
    spent: list[Spent] = []
    for step, wanted in asked:
        now, cost = now + step, min(wanted, units)
        verdict = spend(quota, spent, cost, now)
        if isinstance(verdict, Wait):
            now += verdict.wait_us
            verdict = spend(quota, spent, cost, now)
        assert isinstance(verdict, Admit)
        spent.append(Spent(now, cost))

    assert _most_in_a_window([(s.at_us, s.units) for s in spent], interval_us) <= units


def test_a_cost_beyond_the_quota_is_a_mistake():
    with pytest.raises(ValueError, match="never fits"):
        spend(Quota(5, 100), [], 6, NOW)


def _settings(path, **changes):
    known = {"source_id": "fires", "base_url": "https://example.org", "state_dir": path}
    return FetchSettings(**{**known, **changes})


def test_two_sources_share_a_quota_and_not_a_pace(tmp_path):
    quota = ApiQuota(name="firms", units=3, interval_s=600)
    one, two = (
        Limits(
            SharedState(tmp_path),
            _settings(tmp_path, source_id=name, quota=quota, rate_limit_per_minute=600),
        )
        for name in ("one", "two")
    )

    assert [isinstance(one.take(1, NOW), Admit), isinstance(two.take(1.5, NOW), Admit)] == [
        True,
        True,
    ]
    assert one.take(1, NOW) == Wait(600_000_000)
    assert isinstance(two.take(0.5, NOW), Admit)


def test_a_request_that_must_wait_takes_nothing(tmp_path):
    quota = ApiQuota(name="firms", units=1, interval_s=600)
    limits = Limits(SharedState(tmp_path), _settings(tmp_path, quota=quota))
    limits.take(1, NOW)

    for _ in range(20):
        assert isinstance(limits.take(1, NOW + MINUTE_US), Wait)

    assert isinstance(limits.take(1, NOW + 600_000_000), Admit)


@pytest.mark.parametrize("pause_s", [0, 7])
def test_a_clock_set_back_holds_nobody_longer_than_the_limit_itself(tmp_path, pause_s):
    quota = ApiQuota(name="firms", units=1, interval_s=600)
    limits = Limits(SharedState(tmp_path), _settings(tmp_path, quota=quota))
    limits.take(1, NOW)
    limits.pause(pause_s * 1_000_000, NOW, whole_quota=True)

    now = NOW - 2 * DAY_US
    waited = 0
    while isinstance(verdict := limits.take(1, now), Wait):
        now += verdict.wait_us
        waited += verdict.wait_us

    assert waited <= 610_000_000


PROCESS = """
import sys
from pathlib import Path
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.fetch.quota import Limits
from wildfire_ingest.fetch.rate_limit import Admit
from wildfire_ingest.fetch.settings import ApiQuota, FetchSettings
from wildfire_ingest.fetch.shared_state import SharedState
clock, path = SystemClock(), Path(sys.argv[1])
settings = FetchSettings(source_id=sys.argv[2], base_url="https://example.org", state_dir=path,
    rate_limit_per_minute=6000, rate_burst=6000, quota=ApiQuota(name="q", units=50, interval_s=600))
limits = Limits(SharedState(path), settings)
print(sum(isinstance(limits.take(1, clock.now_us()), Admit) for _ in range(100)))
"""


def test_processes_together_never_exceed_the_quota(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path / "state"), f"source{n % 2}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for n in range(6)
    ]
    ends = [process.communicate(timeout=60) for process in running]

    assert [err for _, err in ends] == [b""] * 6
    assert sum(int(out) for out, _ in ends) == 50


def test_nobody_decides_on_what_another_is_about_to_change(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_state, "BUSY_TIMEOUT_S", 0.01)
    one, two = SharedState(tmp_path), SharedState(tmp_path)
    with two.transaction():
        pass

    with one.transaction(), pytest.raises(SourceUnavailable, match="locked"), two.transaction():
        pass

    one.close()
    two.close()


def test_a_planted_link_is_refused(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "limits.sqlite").symlink_to(tmp_path / "victim")

    with pytest.raises(SourceUnavailable, match="cannot be used"):
        Limits(SharedState(tmp_path), _settings(tmp_path)).take(1, NOW)

    assert (tmp_path / "victim").read_text() == "precious"


def test_a_damaged_state_file_stops_the_asking(tmp_path):
    (tmp_path / "limits.sqlite").write_bytes(b"not a database" * 100)

    with pytest.raises(SourceUnavailable, match="delete it"):
        Limits(SharedState(tmp_path), _settings(tmp_path)).take(1, NOW)


POLICY = CircuitPolicy(max_failures=3, open_us=MINUTE_US)


def test_a_circuit_opens_after_so_many_failures_in_a_row():
    circuit = failed(POLICY, failed(POLICY, Circuit(), NOW), NOW)
    assert isinstance(ask(POLICY, circuit, NOW), Pass)
    assert ask(POLICY, failed(POLICY, succeeded(), NOW), NOW) == Pass(Circuit(1), trial=False)

    verdict = ask(POLICY, failed(POLICY, circuit, NOW), NOW)
    assert isinstance(verdict, Refuse)
    assert verdict.wait_us == MINUTE_US


def test_half_open_lets_one_try(tmp_path):
    circuit = failed(POLICY, Circuit(), NOW, at_once=True)
    later = NOW + MINUTE_US
    verdict = ask(POLICY, circuit, later)
    assert isinstance(verdict, Pass)
    assert verdict.trial

    assert isinstance(ask(POLICY, verdict.circuit, later), Refuse)
    assert isinstance(ask(POLICY, not_asked(verdict.circuit), later), Pass)
    assert isinstance(ask(POLICY, failed(POLICY, verdict.circuit, later), later), Refuse)
    assert isinstance(ask(POLICY, verdict.circuit, later + MINUTE_US), Pass)


def test_of_many_that_ask_at_once_one_has_the_trial(tmp_path):
    settings = _settings(tmp_path)
    SourceCircuit(SharedState(tmp_path), settings).failed(NOW, at_once=True)

    def one_asks(_: int) -> bool:
        state = SharedState(tmp_path)
        try:
            return isinstance(SourceCircuit(state, settings).ask(NOW + MINUTE_US), Pass)
        finally:
            state.close()

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one_asks, range(100))) == 1


def test_a_clock_set_back_keeps_a_circuit_open_no_longer(tmp_path):
    shared = SourceCircuit(SharedState(tmp_path), _settings(tmp_path))
    shared.failed(NOW, at_once=True)
    now = NOW - 2 * DAY_US

    verdict = shared.ask(now)

    assert isinstance(verdict, Refuse)
    assert isinstance(shared.ask(now + verdict.wait_us), Pass)


@given(
    st.lists(st.tuples(st.integers(0, 2 * MINUTE_US), st.booleans()), max_size=40),
    st.integers(1, 5),
)
def test_an_open_circuit_is_asked_at_most_once_in_its_time(steps, most):
    policy, circuit, now = CircuitPolicy(most, MINUTE_US), Circuit(), NOW
    last_trial = None
    for step, is_well in steps:
        now += step
        verdict = ask(policy, circuit, now)
        if isinstance(verdict, Refuse):
            assert 0 < verdict.wait_us <= MINUTE_US
            continue
        if verdict.trial:
            assert last_trial is None or now - last_trial >= MINUTE_US
            last_trial = now
        circuit = succeeded() if is_well else failed(policy, verdict.circuit, now)
        if is_well:
            last_trial = None


@given(
    st.integers(1, 10),
    st.integers(0, 60_000_000),
    st.none() | st.integers(0, LONGEST_PAUSE_US),
    st.integers(0, 1000),
)
def test_a_retry_is_bounded_and_never_before_retry_after(attempt, left_us, after_us, seed):
    policy = RetryPolicy(max_attempts=5, base_us=1_000_000, max_us=8_000_000)

    verdict = next_retry(
        policy, attempt, left_us=left_us, draw=random.Random(seed).random, retry_after_us=after_us
    )

    if isinstance(verdict, GiveUp):
        assert attempt >= 5 or left_us <= max(8_000_000, after_us or 0)
    else:
        ceiling = min(8_000_000, 1_000_000 * 2 ** (attempt - 1))
        assert (after_us or 0) <= verdict.wait_us <= max(ceiling, after_us or 0)
        assert verdict.wait_us < left_us


def test_the_jitter_is_full():
    policy = RetryPolicy(max_attempts=9, base_us=100, max_us=1000)

    draws = iter((0.0, 0.5, 0.999)).__next__
    waits = [next_retry(policy, 3, left_us=10_000, draw=draws) for _ in range(3)]

    assert waits == [RetryIn(0), RetryIn(200), RetryIn(399)]


def test_a_date_is_meant_on_the_servers_clock():
    ours, theirs = NOW, NOW + 3 * 3_600_000_000
    date = formatdate(theirs / 1e6, usegmt=True)
    until = formatdate(theirs / 1e6 + 120, usegmt=True)

    assert parse_retry_after(until, ours, date) == 120_000_000
    assert parse_retry_after(date, ours, until) == 0


@given(st.text(max_size=40) | st.integers().map(str))
def test_any_retry_after_is_a_bounded_wait_or_nothing(value):
    found = parse_retry_after(value, NOW)

    assert found is None or 0 <= found <= LONGEST_PAUSE_US


def test_many_that_make_the_shared_file_at_once_all_get_it(tmp_path):
    def make(place, together):
        state = SharedState(place)
        together.wait()
        with state.transaction() as db:
            found = db.execute("SELECT count(*) FROM pace").fetchone()
        state.close()
        return found == (0,)

    for n in range(25):
        together = threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            made = [pool.submit(make, tmp_path / str(n), together) for _ in range(8)]
            assert all(one.result(timeout=60) for one in made)
