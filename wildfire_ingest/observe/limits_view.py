"""Whether a source may be asked now: its circuit, pauses and quota, read from the shared limits.

Read-only; times in seconds from now, quota in the API's own units.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.fetch.quota import MILLI
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest.fetch.shared_state import FILE_NAME, hashed

CircuitState = Literal["closed", "open", "half_open", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    """One source's limits now."""

    circuit: CircuitState = "closed"
    failures_in_a_row: int = 0
    opens_again_in_s: float | None = None
    """Until the trial request, where the circuit is open."""
    paused_for_s: float | None = None
    """The API asked everybody to wait (429, Retry-After)."""
    quota_units: float | None = None
    """Of the published quota, where there is one."""
    quota_spent: float = 0.0


def limits(settings: FetchSettings, now_us: int) -> LimitsView:
    """What the shared file says; a source that was never asked has free way."""
    path = settings.state_dir / FILE_NAME
    units = settings.quota.units if settings.quota else None
    if not path.exists():
        return LimitsView(quota_units=units)
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as db:
            return _limits(db, settings, now_us)
    except sqlite3.Error:
        return LimitsView(circuit="unknown", quota_units=units)


def _limits(db: sqlite3.Connection, settings: FetchSettings, now_us: int) -> LimitsView:
    name = hashed("circuit", settings.source_id, settings.base_url)
    row = db.execute(
        "SELECT failures, open_until_us, trial_until_us FROM circuit WHERE name = ?", (name,)
    ).fetchone()
    failures, open_until_us, trial_until_us = row or (0, 0, 0)
    bucket = hashed("quota", settings.quota.name) if settings.quota else ""
    (paused_us,) = db.execute(
        "SELECT MAX(until_us) FROM paused WHERE name IN (?, ?)",
        (hashed("source", settings.source_id), bucket),
    ).fetchone()
    return LimitsView(
        circuit=_circuit(settings, failures, open_until_us, trial_until_us, now_us),
        failures_in_a_row=failures,
        opens_again_in_s=_left_s(open_until_us, now_us),
        paused_for_s=_left_s(paused_us or 0, now_us),
        quota_units=settings.quota.units if settings.quota else None,
        quota_spent=_spent(db, settings, bucket, now_us),
    )


def _circuit(
    settings: FetchSettings, failures: int, open_until_us: int, trial_until_us: int, now_us: int
) -> CircuitState:
    if failures < settings.max_consecutive_failures:
        return "closed"
    return "half_open" if trial_until_us > now_us or open_until_us <= now_us else "open"


def _spent(db: sqlite3.Connection, settings: FetchSettings, bucket: str, now_us: int) -> float:
    if settings.quota is None:
        return 0.0
    since_us = now_us - int(settings.quota.interval_s * SECOND_US)
    (milli,) = db.execute(
        "SELECT COALESCE(SUM(units), 0) FROM spent WHERE name = ? AND at_us > ?",
        (bucket, since_us),
    ).fetchone()
    return float(milli) / MILLI


def _left_s(until_us: int, now_us: int) -> float | None:
    return (until_us - now_us) / SECOND_US if until_us > now_us else None
