"""Whether, and after how long, a failed attempt is made again inside its fetch.

Pure: the random draw is passed in.  Durations are integer microseconds.  The wait is
exponential with full jitter (Brooker, AWS Architecture Blog, 2015); a Retry-After (RFC 9110,
10.2.3) is a lower bound of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

SECOND_US = 1_000_000
LONGEST_PAUSE_US = 24 * 3600 * SECOND_US
"""A Retry-After beyond a day (10^9 s was seen) parks the source for a day: then one question
finds out whether it still holds."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `max_attempts`; the n-th wait is drawn from 0 .. min(max_us, base_us * 2^(n-1))."""

    max_attempts: int
    base_us: int
    max_us: int


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Make the next attempt after `wait_us`."""

    wait_us: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt in this fetch."""

    why: str


def next_retry(
    policy: RetryPolicy,
    attempt: int,
    *,
    left_us: int,
    draw: Callable[[], float],
    retry_after_us: int | None = None,
) -> RetryIn | GiveUp:
    """Decide after the failed attempt number `attempt` (from 1), with `left_us` to the deadline.

    `draw` returns a number in [0, 1).
    """
    if attempt >= policy.max_attempts:
        return GiveUp(f"{attempt} of {policy.max_attempts} attempts made")
    # 2^62 us is longer than any deadline; a larger exponent only costs memory.
    ceiling_us = min(policy.max_us, policy.base_us << min(attempt - 1, 62))
    wait_us = max(int(draw() * ceiling_us), retry_after_us or 0)
    if wait_us >= left_us:
        return GiveUp(f"the next attempt, in {wait_us / SECOND_US:.1f} s, is past the deadline")
    return RetryIn(wait_us)


def parse_retry_after(value: str, now_us: int, date: str = "") -> int | None:
    """How long a Retry-After asks to wait, 0 .. LONGEST_PAUSE_US; None where it says nothing.

    `date` is the answer's Date header: a Retry-After in the form of a date is meant on the
    server's clock.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Ten digits are longer than the longest pause; int() of more is only work.
        seconds = int(text[:10]) if len(text) <= 10 else LONGEST_PAUSE_US  # noqa: PLR2004 (ibid.)
        return min(seconds * SECOND_US, LONGEST_PAUSE_US)
    at_us = _http_date_us(text)
    if at_us is None:
        return None
    base_us = _http_date_us(date)
    return min(max(0, at_us - (now_us if base_us is None else base_us)), LONGEST_PAUSE_US)


def _http_date_us(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * SECOND_US
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
