"""What a run did, in numbers: deltas of the ledger and the stages' counters over that run.

Counters grow with the run and are subtracted between two snapshots; gauges are as they are now.
Times in seconds, counts in records unless their name says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from wildfire_ingest.intake.ledger import Ledger

Ending = Literal["running", "done", "stopped", "undelivered", "superseded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One source's run.  `ledger` holds what this run changed, but `pending`: what waits now."""

    source_id: str
    ending: Ending
    ledger: Ledger
    life: Ledger = field(default_factory=Ledger)
    """The whole account of the spool, now."""
    polls: int = 0
    empty_polls: int = 0
    failed_polls: int = 0
    cache_hits: int = 0
    api_calls: int = 0
    api_errors: int = 0
    transactions: int = 0
    delivery_failures: int = 0
    delivery_retries: int = 0
    """Loads that were sent again."""
    queue_size: int = 0
    queue_enqueued: int = 0
    queue_dequeued: int = 0
    queue_dropped: int = 0
    throttle_state: str = "NORMAL"
    throttle_level: int = 0
    throttle_adjustments: int = 0
    throttle_pauses: int = 0
    """How often a publisher was held back."""
    consumer_lag: int | None = None
    topics: dict[str, int] = field(default_factory=dict)
    """topic -> records committed in this run."""
    resolutions: dict[str, int] = field(default_factory=dict)
    """kind of rule -> records whose topic it decided."""
    total_sent: int = 0
    """Committed to their topics since the run began."""
    uptime_s: float = 0.0
    """Since the run began."""
    duration_s: float = 0.0
    """Of the run, or of the window that `since` cut out of it."""
    newest_observed_age_s: float | None = None
    newest_row_age_s: float | None = None
    """Since a poll last brought a row that was not known."""
    newest_poll_age_s: float | None = None
    """Since a poll last succeeded."""
    epoch: int = 0
    message: str = ""
    """Why it ended so, for a person."""
    ledger_faults: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Everything fetched is delivered (or the run was asked to stop) and the books close."""
        return self.ending in {"done", "stopped"} and not self.ledger_faults

    def since(self, earlier: RunSummary) -> RunSummary:
        """The window between two snapshots of one run: its counters; gauges stay as now."""
        window = self.ledger.minus(earlier.ledger)
        return replace(
            self,
            ledger=replace(window, pending=self.ledger.pending),
            topics=less(self.topics, earlier.topics),
            resolutions=less(self.resolutions, earlier.resolutions),
            **{name: getattr(self, name) - getattr(earlier, name) for name in COUNTERS},
        )


COUNTERS = (
    "polls",
    "empty_polls",
    "failed_polls",
    "cache_hits",
    "api_calls",
    "api_errors",
    "transactions",
    "delivery_failures",
    "delivery_retries",
    "queue_enqueued",
    "queue_dequeued",
    "queue_dropped",
    "throttle_adjustments",
    "throttle_pauses",
    "duration_s",
)
"""The numbers that only grow while a run lasts."""


def less(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What has come to each since; those to which nothing has come are left out."""
    grown = {name: n - before.get(name, 0) for name, n in now.items()}
    return {name: n for name, n in grown.items() if n}


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All of them together."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(dict(each))  # a copy: its thread goes on counting
    return dict(total)
