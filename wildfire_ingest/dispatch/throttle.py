"""May this lane send now, and how much: consumer lag in bands, and a token bucket per source.

Pure: `now_us` is integer microseconds on the caller's monotonic clock; lag and batches are in
records, rates in records/s.  The verdict is asked for before anything leaves the queue, so that
nothing is ever queued again.  One state per source, guarded by the caller's lock.

    lag                         verdict
    < target_lag                send
    target_lag..critical_lag    at most a batch, then moderate_pause_s
    > critical_lag              at most a batch, then 2^level s; level 1..max_level
    unknown                     as before; after unknown_after_s as target_lag..critical_lag

A band is left only below RELEASE of the lag at which it was entered, so that a lag at the edge
does not flap.  Waiting until the time that a Pause names is always enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from wildfire_ingest.dispatch.settings import SECOND_US, ThrottleSettings
from wildfire_ingest.record import Lane

NO_LIMIT = 2**63 - 1
RELEASE = 0.8
"""A band is left at this part of the lag at which it is entered."""

StateWord = Literal["NORMAL", "MODERATE", "CRITICAL", "UNKNOWN"]
_RECORD = 10**12
"""One record in the bucket's unit: integers only, so that waiting as told is exactly enough."""


class Band(IntEnum):
    """How far behind the consumers are."""

    NORMAL = 0
    MODERATE = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Send:
    """Take and send at most so many records now (one load in any case), then report them."""

    at_most: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Take nothing from this lane before `until_us`."""

    until_us: int


@dataclass(frozen=True, slots=True)
class LaneThrottle:
    """What one lane's lag has led to so far."""

    band: Band = Band.NORMAL
    level: int = 0
    calm: int = 0
    """Low samples in a row."""
    adjustments: int = 0
    """How often band or level changed."""
    lag: int | None = None
    """The newest sample; None = unknown."""
    known_at_us: int | None = None
    """When lag was last known; before that, when it was first asked for."""
    sent_at_us: int = 0
    sent_records: int = 0
    paused_until_us: int = 0


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """Everything that is remembered of one source; the default is a source that just began."""

    lanes: tuple[LaneThrottle, ...] = (LaneThrottle(),) * len(Lane)
    spent: int = 0
    """What the token bucket lacks to be full, in 10^-12 records, at `spent_at_us`."""
    spent_at_us: int = 0


@dataclass(frozen=True, slots=True)
class ThrottleReport:
    """The metrics of one source's throttle: its slowest lane."""

    state: StateWord
    level: int
    adjustments: int
    lag: int | None


def observe(
    settings: ThrottleSettings,
    state: ThrottleState,
    lag: int | None,
    now_us: int,
    *,
    lane: Lane | None = None,
) -> ThrottleState:
    """Take in one new sample of the lag: of `lane` (the largest over its topics), or of all.

    None = unknown; so is a negative lag, which no healthy broker reports.  A lane that is never
    observed (no consumer group is configured for its topics) has no lag throttle.
    """
    if lag is not None and lag < 0:
        lag = None
    lanes = tuple(
        _sampled(settings, seen, lag, now_us) if lane in (None, which) else seen
        for which, seen in zip(Lane, state.lanes, strict=True)
    )
    return replace(state, lanes=lanes)


def decide(
    settings: ThrottleSettings, state: ThrottleState, *, lane: Lane, now_us: int
) -> Send | Pause:
    """May `lane` send at `now_us`?  CRITICAL always may, all of it."""
    if lane is Lane.CRITICAL or not settings.enabled:
        return Send(NO_LIMIT)
    seen = state.lanes[lane]
    band = _band_now(settings, seen, now_us)
    tokens_at_us = _next_token_us(settings, state, now_us)
    until_us = max(_paused_until_us(settings, seen, band), tokens_at_us)
    if until_us > now_us:
        return Pause(until_us)
    batch = NO_LIMIT if band is Band.NORMAL else max(1, settings.batch_size)
    return Send(min(batch, _tokens(settings, state, now_us)))


def sent(
    settings: ThrottleSettings,
    state: ThrottleState,
    n: int,
    now_us: int,
    *,
    lane: Lane | None = None,
) -> ThrottleState:
    """Report `n` records that went out, of `lane` or (None) of any but CRITICAL.

    NORMAL and LOW are one publisher's and pause together.  CRITICAL records use up the rate of
    their source, but no lane pauses for them.
    """
    if n <= 0:
        return state
    pauses = _pausing_with(lane)
    lanes = tuple(
        _after_send(settings, seen, n, now_us) if which in pauses else seen
        for which, seen in zip(Lane, state.lanes, strict=True)
    )
    spent = _spent(settings, state, now_us) + n * _RECORD if settings.max_send_rate > 0 else 0
    return ThrottleState(lanes=lanes, spent=spent, spent_at_us=now_us)


def report(settings: ThrottleSettings, state: ThrottleState, now_us: int) -> ThrottleReport:
    """What a person and the metrics are told: the slowest lane's word."""
    observed = [seen for seen in state.lanes[Lane.HIGH :] if seen.known_at_us is not None]
    return ThrottleReport(
        state=_word(settings, observed, now_us),
        level=max((seen.level for seen in observed), default=0),
        adjustments=max((seen.adjustments for seen in observed), default=0),
        lag=max((seen.lag for seen in observed if seen.lag is not None), default=None),
    )


def _word(settings: ThrottleSettings, observed: list[LaneThrottle], now_us: int) -> StateWord:
    if not _lag_counts(settings):
        return "NORMAL"
    if not observed or any(
        seen.lag is None or _is_stale(settings, seen, now_us) for seen in observed
    ):
        return "UNKNOWN"
    words: tuple[StateWord, ...] = ("NORMAL", "MODERATE", "CRITICAL")
    return words[max(seen.band for seen in observed)]


def _lag_counts(settings: ThrottleSettings) -> bool:
    return settings.enabled and any(settings.consumer_groups.values())


def _sampled(
    settings: ThrottleSettings, seen: LaneThrottle, lag: int | None, now_us: int
) -> LaneThrottle:
    if lag is None:
        first_us = now_us if seen.known_at_us is None else seen.known_at_us
        return replace(seen, lag=None, calm=0, known_at_us=first_us)
    band = _band(settings, seen.band, lag)
    level, calm = _level(settings, seen, lag)
    changed = band is not seen.band or level != seen.level
    return replace(
        seen,
        band=band,
        level=level,
        calm=calm,
        adjustments=seen.adjustments + changed,
        lag=lag,
        known_at_us=now_us,
    )


def _band(settings: ThrottleSettings, band: Band, lag: int) -> Band:
    if lag > settings.critical_lag:
        return Band.CRITICAL
    if band is Band.CRITICAL and lag > max(settings.critical_lag * RELEASE, settings.target_lag):
        return Band.CRITICAL
    if lag >= settings.target_lag:
        return Band.MODERATE
    if band is not Band.NORMAL and lag >= settings.target_lag * RELEASE:
        return Band.MODERATE
    return Band.NORMAL


def _level(settings: ThrottleSettings, seen: LaneThrottle, lag: int) -> tuple[int, int]:
    """The next level and the low samples in a row: up at once, down slowly."""
    if lag > settings.critical_lag:
        return min(settings.max_level, seen.level + 1), 0
    if lag >= settings.target_lag:
        return seen.level, 0
    if seen.calm + 1 < settings.calm_samples:
        return seen.level, seen.calm + 1
    return max(0, seen.level - 1), 0


def _is_stale(settings: ThrottleSettings, seen: LaneThrottle, now_us: int) -> bool:
    # A reader that hangs brings no None either, so the age of the last known lag decides.
    if seen.known_at_us is None:
        return False
    return now_us - seen.known_at_us >= settings.unknown_after_s * SECOND_US


def _band_now(settings: ThrottleSettings, seen: LaneThrottle, now_us: int) -> Band:
    if not _lag_counts(settings):
        return Band.NORMAL
    return Band.MODERATE if _is_stale(settings, seen, now_us) else seen.band


def _after_send(
    settings: ThrottleSettings, seen: LaneThrottle, n: int, now_us: int
) -> LaneThrottle:
    band = _band_now(settings, seen, now_us)
    # What goes out during a pause (NORMAL and LOW of one transaction) adds to what began it.
    if now_us < seen.paused_until_us:
        n, now_us = n + seen.sent_records, seen.sent_at_us
    pause_us = _pause_us(settings, band, seen.level, n)
    return replace(seen, sent_at_us=now_us, sent_records=n, paused_until_us=now_us + pause_us)


def _pause_us(settings: ThrottleSettings, band: Band, level: int, n: int) -> int:
    """The pause after `n` records; more than a batch (one large load) pauses for as many."""
    if band is Band.NORMAL:
        return 0
    pause_s = settings.moderate_pause_s if band is Band.MODERATE else float(2**level)
    pause_s *= max(1.0, n / max(1, settings.batch_size))
    if settings.min_send_rate > 0:  # the least that a throttled source still gets
        pause_s = min(pause_s, n / settings.min_send_rate)
    return int(pause_s * SECOND_US)


def _paused_until_us(settings: ThrottleSettings, seen: LaneThrottle, band: Band) -> int:
    # A pause ends early when the lag falls and is never drawn out when it rises.
    pause_us = _pause_us(settings, band, seen.level, seen.sent_records)
    return min(seen.paused_until_us, seen.sent_at_us + pause_us)


def _pausing_with(lane: Lane | None) -> tuple[Lane, ...]:
    match lane:
        case None:
            return (Lane.HIGH, Lane.NORMAL, Lane.LOW)
        case Lane.CRITICAL:
            return ()
        case Lane.HIGH:
            return (Lane.HIGH,)
        case Lane.NORMAL | Lane.LOW:
            return (Lane.NORMAL, Lane.LOW)


def _burst(settings: ThrottleSettings) -> int:
    """Records that may go at once: one batch or one second's worth, whichever is less."""
    return max(1, min(settings.batch_size, math.floor(settings.max_send_rate)))


def _spent(settings: ThrottleSettings, state: ThrottleState, now_us: int) -> int:
    """What the bucket still lacks of being full."""
    return max(0, state.spent - max(0, now_us - state.spent_at_us) * _refill_per_us(settings))


def _refill_per_us(settings: ThrottleSettings) -> int:
    """The rate in the bucket's unit: 1 record/s is 10^6 of it per µs."""
    return max(1, round(settings.max_send_rate * (_RECORD // SECOND_US)))


def _tokens(settings: ThrottleSettings, state: ThrottleState, now_us: int) -> int:
    if settings.max_send_rate <= 0:
        return NO_LIMIT
    return _burst(settings) - _ceil_div(_spent(settings, state, now_us), _RECORD)


def _next_token_us(settings: ThrottleSettings, state: ThrottleState, now_us: int) -> int:
    """When the bucket holds a whole record; `now_us` or earlier = it does."""
    if settings.max_send_rate <= 0:
        return now_us
    lacking = _spent(settings, state, now_us) - (_burst(settings) - 1) * _RECORD
    return now_us + max(0, _ceil_div(lacking, _refill_per_us(settings)))


def _ceil_div(amount: int, by: int) -> int:
    return -(-amount // by)
