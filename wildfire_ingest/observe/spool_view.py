"""Looks into a source's spool without owning it: read-only, one consistent moment.

Works while the source runs (SQLite's WAL: a reader sees one snapshot and hinders nobody).
Times are integer microseconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from wildfire_ingest.engine.pace import Pace, decoded
from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import ID_ROW
from wildfire_ingest.intake.spool import State
from wildfire_ingest.record import Lane

NOT_A_LANE = -1
"""Lane of the ids that were read back from topics: no load of ours."""


@dataclass(frozen=True, slots=True)
class KeptLoad:
    """One load whose ids are still known."""

    lane: int
    seq: int
    state: State
    dead: int
    topics: tuple[str, ...]
    created_at_us: int
    rows: npt.NDArray[np.void]
    """Of dtype ID_ROW."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolView:
    """What a spool says of itself."""

    ledger: Ledger
    lanes: dict[Lane, Ledger]
    """lane -> what it has published and dead-lettered."""
    pending: dict[Lane, tuple[int, int]]
    """lane -> (records, bytes)."""
    cursor: str | None
    last_gap: tuple[int, str, str] | None
    """When, kind, reason."""
    owner_epochs: dict[str, int] = field(default_factory=dict)
    """`epoch` (ours), `superseded` (who took over); where known."""
    spool_id: str = ""
    adopted_from: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """lane's name -> (spool_id, seq, sha256) of the offset record that was adopted."""
    oldest_pending_us: int | None = None
    polled_at_us: int | None = None
    """When a poll last succeeded."""
    row_at_us: int | None = None
    """When one last brought a row that was not known."""
    newest_observed_s: int | None = None
    """When the newest record was observed."""
    pace: Pace = field(default_factory=Pace)
    """Samples of its totals; empty where none were left."""
    loads: tuple[KeptLoad, ...] = ()


def spool_path(state_dir: Path, source_id: str) -> Path:
    """Where the source's spool is."""
    return state_dir / f"{source_id}.db"


def view(state_dir: Path, source_id: str, *, with_loads: bool = False) -> SpoolView | None:
    """The spool now; None where the source has none yet.  Raises SpoolCorrupt."""
    path = spool_path(state_dir, source_id)
    if not path.exists():
        return None
    try:
        with _snapshot(path) as db:
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                return None
            return _view(db, with_loads=with_loads)
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:  # not SQLite, or not ours
        raise SpoolCorrupt(
            f"{path} cannot be read ({error}); the source sets it aside at its next start: "
            "see docs/recovery.md"
        ) from error


def left_behind(state_dir: Path, running: Collection[str]) -> dict[str, int]:
    """Spools of sources that run no more, by id, with the records that wait there."""
    waiting: dict[str, int] = {}
    for path in sorted(state_dir.glob("*.db")):
        if path.stem in running:
            continue
        try:
            found = view(state_dir, path.stem)
        except SpoolCorrupt:
            continue  # no spool of ours, or one that a person looks at anyway
        if found is not None and found.ledger.pending:
            waiting[path.stem] = found.ledger.pending
    return waiting


def owner_of(state_dir: Path, source_id: str) -> str | None:
    """The process that holds the source's lock; None when it does not run."""
    try:
        descriptor = os.open(state_dir / f"{source_id}.lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # A shared lock for microseconds: the kernel's own answer, where a stored pid may be stale.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(descriptor)


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None)) as db:
        db.execute("BEGIN")
        yield db


def _view(db: sqlite3.Connection, *, with_loads: bool) -> SpoolView:
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    cursor = meta.get("cursor")
    pending = {
        Lane(lane): (n, size)
        for lane, n, size in db.execute(
            "SELECT lane, SUM(n), SUM(bytes) FROM loads WHERE state = 0 GROUP BY lane"
        )
    }
    sums = dict(db.execute("SELECT name, SUM(n) FROM ledger GROUP BY name").fetchall())
    waiting = sum(n for n, _ in pending.values())
    pace = decoded(meta.get("pace"))
    return SpoolView(
        ledger=Ledger.of({**sums, "pending": waiting}),
        lanes={lane: _lane_totals(db, lane) for lane in Lane},
        pending=pending,
        cursor=cursor.decode("utf-8", "replace") if isinstance(cursor, bytes) else None,
        last_gap=db.execute("SELECT * FROM gaps ORDER BY at_us DESC LIMIT 1").fetchone(),
        owner_epochs={
            name: meta[name] for name in ("epoch", "superseded") if isinstance(meta.get(name), int)
        },
        spool_id=str(meta.get("spool_id") or ""),
        adopted_from={
            lane: tuple(known)
            for lane, known in json.loads(meta.get("adopted_from") or "{}").items()
        },
        oldest_pending_us=db.execute(
            "SELECT MIN(created_at_us) FROM loads WHERE state = 0"
        ).fetchone()[0],
        polled_at_us=_whole(meta.get("polled_at_us")),
        row_at_us=_whole(meta.get("row_at_us")),
        newest_observed_s=max(pace.newest_observed_s, _newest_s(db)) or None,
        pace=pace,
        loads=tuple(_loads(db)) if with_loads else (),
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _newest_s(db: sqlite3.Connection) -> int:
    """Of the loads whose time is an observation's: a dead letter's is when it was read."""
    query = "SELECT MAX(newest_observed_s) FROM loads WHERE dead = 0 AND lane >= 0"
    return int(db.execute(query).fetchone()[0] or 0)


def _lane_totals(db: sqlite3.Connection, lane: Lane) -> Ledger:
    rows = db.execute("SELECT name, n FROM ledger WHERE lane = ?", (int(lane),)).fetchall()
    return Ledger.of(dict(rows))


def _loads(db: sqlite3.Connection) -> Iterator[KeptLoad]:
    for lane, seq, state, dead, topics, created, ids in db.execute(
        "SELECT l.lane, l.seq, l.state, l.dead, l.topics, l.created_at_us, i.ids"
        " FROM loads l JOIN ids i USING (key) ORDER BY key"
    ):
        names = tuple(json.loads(topics))
        yield KeptLoad(lane, seq, State(state), dead, names, created, np.frombuffer(ids, ID_ROW))
