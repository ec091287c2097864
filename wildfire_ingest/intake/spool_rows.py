"""The spool's small tables, written inside a caller's transaction: meta, ledger, quarantine."""

from __future__ import annotations

import sqlite3

from wildfire_ingest.intake.ledger import NAMES, Ledger

NO_LANE = -1


def put_in_quarantine(
    db: sqlite3.Connection, ids: bytes, payload: bytes, n: int, reason: str, now_us: int
) -> None:
    """Keep rows that may not be sent, and count them."""
    db.execute(
        "INSERT INTO quarantine (at_us, n, reason, ids, payload) VALUES (?,?,?,?,?)",
        (now_us, n, reason, ids, payload),
    )
    count(db, Ledger(quarantined=n))


def get_meta(db: sqlite3.Connection, name: str) -> str | bytes | int | None:
    """What is remembered under a name."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def put_meta(db: sqlite3.Connection, name: str, value: str | bytes | int | None) -> None:
    """Remember one value, inside the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))


def count(db: sqlite3.Connection, counts: Ledger, lane: int = NO_LANE) -> None:
    """Add to the ledger, inside the caller's transaction."""
    for name in NAMES:
        n = getattr(counts, name)
        if n and name != "pending":
            db.execute(
                "INSERT INTO ledger VALUES (?,?,?) ON CONFLICT (name, lane)"
                " DO UPDATE SET n = n + excluded.n",
                (name, int(lane), n),
            )
