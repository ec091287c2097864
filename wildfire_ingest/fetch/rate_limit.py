"""When one more request may be sent: at an even pace (GCRA) and inside a published quota.

Pure: no clock, no sleep, no lock.  Times are integer microseconds on the caller's clock.
GCRA is the ATM Forum's virtual scheduling (TM 4.0, 4.4.2): its whole state is one integer.

Bounds, in any half-open window as long as the interval:
  a `Rate` admits at most `limit + burst - 1` requests, `Rate.within(n, …)` at most n;
  a `Quota` admits at most `units`.
Waiting as told is always enough, as long as nobody else was admitted in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Admit:
    """Send now, and keep `state`."""

    state: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do not send; ask again after `wait_us`.  The state is unchanged."""

    wait_us: int


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` requests per `interval_us`, at most `burst` of them at once."""

    limit: int
    interval_us: int
    burst: int = 1

    def __post_init__(self) -> None:
        if self.limit < 1 or self.interval_us < 1 or self.burst < 1:
            raise ValueError(f"limit, interval_us and burst must be at least 1, found {self}")

    @classmethod
    def within(cls, limit: int, interval_us: int, burst: int | None = None) -> Rate:
        """Never more than `limit` in a window: what the burst takes, the pace gives back."""
        at_once = max(1, limit // 12) if burst is None else min(max(1, burst), limit)
        return cls(limit - at_once + 1, interval_us, at_once)

    @property
    def emission_us(self) -> int:
        """The time that one request takes of the pace; rounded up, so the limit holds."""
        return -(-self.interval_us // self.limit)


def admit(rate: Rate, state: int, now_us: int) -> Admit | Wait:
    """Decide for one request arriving at `now_us`; a new limiter's state is 0."""
    next_state = max(state, now_us) + rate.emission_us
    allowed_at_us = next_state - rate.burst * rate.emission_us
    return Wait(allowed_at_us - now_us) if allowed_at_us > now_us else Admit(next_state)


def recalled(rate: Rate, state: int, now_us: int) -> int:
    """The state to keep and go on with when it is read at `now_us`.

    A state further ahead than a full burst is a clock that was set back: without this it would
    keep everybody waiting until the clock has caught up.
    """
    return min(state, now_us + rate.burst * rate.emission_us)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `units` (milli-units of the API's own) in any `interval_us`."""

    units: int
    interval_us: int


class Spent(NamedTuple):
    """One admitted request: when, and what it cost in milli-units."""

    at_us: int
    units: int


def spend(quota: Quota, spent: Sequence[Spent], cost: int, now_us: int) -> Admit | Wait:
    """Decide for a request of `cost`; `spent` is in order of time.  Admit's state is the cost.

    Raises ValueError for a cost that no waiting makes room for.
    """
    if cost > quota.units:
        raise ValueError(f"a request of {cost} never fits into a quota of {quota.units}")
    live = [s for s in spent if s.at_us > now_us - quota.interval_us]
    excess = sum(s.units for s in live) + cost - quota.units
    if excess <= 0:
        return Admit(cost)
    for at_us, units in live:
        excess -= units
        if excess <= 0:
            return Wait(at_us + quota.interval_us - now_us)
    raise AssertionError("unreachable: without any spending the cost fits")
