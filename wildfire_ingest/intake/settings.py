"""What the spool of one source needs to know; built by config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """One SQLite file per source under `directory`."""

    directory: Path
    source_id: str
    window_s: int
    """A row observed earlier than now - window_s is too late; the index keeps so much."""
    retain_s: float = 60.0
    """Payloads are freed so long after publication at the earliest."""
    max_bytes: int | None = None
    max_age_s: float | None = None
    min_free_disk_bytes: int = 64 * 1024 * 1024
    max_records_per_load: int = 5_000
