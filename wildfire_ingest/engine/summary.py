"""What a run did, in numbers: deltas of the ledger and the stages' counters over that run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wildfire_ingest.intake.ledger import Ledger

Ending = Literal["done", "stopped", "undelivered", "superseded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One source's run.  `ledger` holds what this run changed, but `pending`: what waits now."""

    source_id: str
    ending: Ending
    ledger: Ledger
    polls: int = 0
    empty_polls: int = 0
    failed_polls: int = 0
    cache_hits: int = 0
    api_calls: int = 0
    api_errors: int = 0
    transactions: int = 0
    delivery_failures: int = 0
    throttle_state: str = "NORMAL"
    throttle_level: int = 0
    consumer_lag: int | None = None
    topics: dict[str, int] = field(default_factory=dict)
    """topic -> records committed in this run."""
    duration_s: float = 0.0
    newest_observed_age_s: float | None = None
    epoch: int = 0
    message: str = ""
    """Why it ended so, for a person."""
    ledger_faults: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Everything fetched is delivered (or the run was asked to stop) and the books close."""
        return self.ending in {"done", "stopped"} and not self.ledger_faults
