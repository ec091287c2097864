"""Four questions about one source, answered from numbers: dead letters, lag, silence, the books.

Pure.  Counts in rows, lag in records, times in seconds.  Runs ask them of a window, health and
the checks that a person starts ask them of what the spool holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from wildfire_ingest.dispatch.settings import ThrottleSettings
from wildfire_ingest.intake.ledger import Ledger

Level = Literal["ok", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")
DEAD_LETTERS, LAG, SILENCE, BOOKS = (
    "dead_letter_ratio",
    "consumer_lag",
    "zero_records",
    "conservation",
)
NAMES = (DEAD_LETTERS, LAG, SILENCE, BOOKS)
WARN_RATIO, FAIL_RATIO = 0.01, 0.1
"""An API repeats single bad rows for years; one row in ten is a changed schema or a wrong rule."""
LEAST_ROWS = 20
"""Fewer rows are judged as if they were so many: one bad row in a small poll is no failure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question's verdict, with the reason in words and the numbers behind it."""

    name: str
    level: Level
    reason: str
    numbers: dict[str, int | float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.level == "ok"


def worst(levels: Sequence[Level]) -> Level:
    """The gravest of them; ok where there is none."""
    return max(levels, key=LEVELS.index, default="ok")


def dead_letter_ratio(life: Ledger, window: Ledger | None = None) -> Answer:
    """Of the rows taken in, those that are no record: over the spool's life and over the window.

    Rows that were known before do not count: an API that repeats a day's rows would hide the bad
    ones among them.
    """
    ratios = {"dead_letter_pct": _ratio(life)}
    if window is not None:
        ratios["window_pct"] = _ratio(window)
    level = worst([_graded(ratio) for ratio in ratios.values()])
    numbers: dict[str, int | float] = {k: round(100 * v, 3) for k, v in ratios.items()}
    reason = (
        f"{_bad(life):,} of {_taken(life):,} rows taken in were rejected or refused"
        f" ({100 * ratios['dead_letter_pct']:.2g} %)"
    )
    if window is not None and _bad(window):
        reason += f"; in the last window {_bad(window):,} of {_taken(window):,}"
    return Answer(DEAD_LETTERS, level, reason, {"bad_rows": _bad(life), **numbers})


def consumer_lag(settings: ThrottleSettings, lag: int | None, known_for_s: float) -> Answer:
    """The largest lag against the throttle's limits; `known_for_s`: since when it is asked."""
    if not settings.enabled or not any(settings.consumer_groups.values()):
        return Answer(LAG, "ok", "no consumer group is configured: no lag is measured")
    if lag is None:
        late = known_for_s >= settings.unknown_after_s
        return Answer(LAG, "warn" if late else "ok", "the consumers' lag is not known")
    level: Level = "ok"
    if lag > settings.target_lag:
        level = "fail" if lag > settings.critical_lag else "warn"
    reason = f"{lag:,} records behind (target {settings.target_lag:,}, critical "
    return Answer(LAG, level, f"{reason}{settings.critical_lag:,})", {"consumer_lag": lag})


def zero_records(
    *, row_age_s: float | None, poll_age_s: float | None, limit_s: float, polled_for_s: float
) -> Answer:
    """Whether polls succeed and bring nothing for longer than the source's freshness window.

    `row_age_s`: since the last row that was not known (None: never one), `poll_age_s`: since the
    last good poll, `polled_for_s`: how long it has been polled at least.
    """
    if poll_age_s is None or poll_age_s > limit_s:
        return Answer(SILENCE, "ok", "not judged: no poll has succeeded in that time")
    silent_s = polled_for_s if row_age_s is None else row_age_s
    hours = silent_s / 3600
    if silent_s <= limit_s:
        return Answer(SILENCE, "ok", f"the last row came {hours:.1f} h ago")
    reason = f"polls succeed, but for {hours:.1f} h no row has come (expected in {limit_s / 3600:g}"
    return Answer(SILENCE, "warn", f"{reason} h)", {"silent_s": round(silent_s)})


def conservation(faults: Sequence[str]) -> Answer:
    """Whether every row that was fetched is accounted for."""
    if faults:
        return Answer(BOOKS, "fail", "the books do not close: " + "; ".join(faults))
    return Answer(BOOKS, "ok", "every fetched row is accounted for")


def _ratio(ledger: Ledger) -> float:
    return min(1.0, _bad(ledger) / max(_taken(ledger), LEAST_ROWS))


def _bad(ledger: Ledger) -> int:
    """Rejected rows become dead letters when they are published: each counts once."""
    return max(ledger.rejected, ledger.dead)


def _taken(ledger: Ledger) -> int:
    """A window may publish what an earlier one took in."""
    return max(ledger.accepted + ledger.rejected, ledger.published)


def _graded(ratio: float) -> Level:
    if ratio > FAIL_RATIO:
        return "fail"
    return "warn" if ratio > WARN_RATIO else "ok"
