"""Which cron line starts a batch source: an interval as cron where a cron can say it.

The minute (and hour) within the interval comes from a stable hash of the source id, so that a
hundred hourly sources do not all start at minute 0, and the same source always starts alike.
Cron times are UTC.  Intervals in seconds.
"""

from __future__ import annotations

import hashlib
import re

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
INTERVALS_S: tuple[int, ...] = (
    *(MINUTE_S * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(HOUR_S * hours for hours in (1, 2, 3, 4, 6, 8, 12)),
    DAY_S,
    7 * DAY_S,
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_SHORTHAND_GAPS_S = {
    "@hourly": float(HOUR_S),
    "@daily": float(DAY_S),
    "@weekly": 7.0 * DAY_S,
    "@monthly": 31.0 * DAY_S,
}
_TERM = re.compile(r"(\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/([0-9]{1,2}))?")


def cron_of_interval(interval_s: int, source_id: str) -> str | None:
    """The cron line of an interval; None where no cron line says it."""
    if interval_s not in INTERVALS_S:
        return None
    offset = int.from_bytes(hashlib.blake2b(source_id.encode(), digest_size=8).digest(), "big")
    if interval_s < HOUR_S:
        step = interval_s // MINUTE_S
        return "* * * * *" if step == 1 else f"{offset % step}-59/{step} * * * *"
    minute, hour = offset % 60, offset // 60
    if interval_s < DAY_S:
        step = interval_s // HOUR_S
        return f"{minute} * * * *" if step == 1 else f"{minute} {hour % step}-23/{step} * * *"
    weekday = "*" if interval_s == DAY_S else str(hour // 24 % 7)
    return f"{minute} {hour % 24} * * {weekday}"


def nearest_intervals(interval_s: float) -> tuple[int, ...]:
    """The interval below and the one above that a cron line can say."""
    below = [one for one in INTERVALS_S if one < interval_s][-1:]
    above = [one for one in INTERVALS_S if one > interval_s][:1]
    return (*below, *above)


def longest_gap_s(cron: str) -> float:
    """An upper bound of the time between two ticks of a valid line, by its widest field."""
    text = cron.strip().lower()
    if text in _SHORTHAND_GAPS_S:
        return _SHORTHAND_GAPS_S[text]
    fields = text.split()
    gaps_s = (HOUR_S, DAY_S, 31 * DAY_S, 366 * DAY_S, 7 * DAY_S)
    named = [gap_s for written, gap_s in zip(fields, gaps_s, strict=False) if written != "*"]
    return float(max(named, default=HOUR_S))


def cron_fault(cron: str) -> str | None:
    """What is wrong with a cron line of five fields; None where it may be used."""
    text = cron.strip().lower()
    if text in _SHORTHAND_GAPS_S:
        return None
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"{len(fields)} fields"
    for written, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        for term in written.split(","):
            if not _term_is_valid(term, low, high, names):
                return f"the {name} '{term[:20]}'"
    return None


def _term_is_valid(term: str, low: int, high: int, names: list[str]) -> bool:
    match = _TERM.fullmatch(term)
    if match is None or (match[2] is not None and not 1 <= int(match[2]) <= high):
        return False
    if match[1] == "*":
        return True
    ends = [_number(word, low, names) for word in match[1].split("-")]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)


def _number(word: str, low: int, names: list[str]) -> int:
    if word in names:
        return names.index(word) + low
    return int(word) if word.isdecimal() and len(word) <= 2 else -1  # noqa: PLR2004 - digits
