"""What is owed to Kafka: loads in SQLite, one durable transaction a poll (T1) and a commit (T7).

Times are integer microseconds since the epoch.  A load's payload is freed in bulk some time
after publication; its ids stay for the window, for the index.  Every method is one atomic unit.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import msgspec
import numpy as np
import numpy.typing as npt

from wildfire_ingest.errors import SpoolCorrupt, SpoolFull
from wildfire_ingest.intake.fresh import Fresh
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import (
    ID_ROW,
    Packed,
    chain,
    digest_of,
    outgoing,
    readdress,
    unpack,
)
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool_file import SpoolFile
from wildfire_ingest.intake.spool_rows import count, get_meta, put_in_quarantine, put_meta
from wildfire_ingest.record import DeadLetter, Lane, Load, Outgoing

_LANE_SHIFT = 48
DEAD_LETTERS_OFF = "dead letters are off"
"""Rows kept for this reason are known to the index; others may come again."""
_WHOLE_OF_A_DEAD_LETTER = "the whole of a dead letter that is too large to send"
GENESIS = b"\0" * 32
"""The chain before a lane's first load."""


class State(IntEnum):
    """Where a load stands."""

    PENDING = 0
    PUBLISHED = 1
    EVICTED = 2
    QUARANTINED = 3


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a lane's chain."""

    seq: int
    sha256: bytes


class Spool:
    """One source's spool; safe to use from several threads."""

    def __init__(self, settings: SpoolSettings) -> None:
        self.settings = settings
        self._file = SpoolFile(settings.directory, settings.source_id)
        self._fresh = Fresh()
        self.set_aside = self._file.set_aside
        if self.meta("spool_id") is None:
            with self.transaction() as db:
                put_meta(db, "spool_id", uuid.uuid4().hex)

    @property
    def spool_id(self) -> str:
        return str(self.meta("spool_id"))

    def forget_fresh(self) -> None:
        """What was spooled just now is no longer what the file holds."""
        self._fresh.clear()

    def close(self) -> None:
        self._file.close()

    # T1

    def append(
        self,
        packed: Sequence[Packed],
        cursor: bytes | None,
        counts: Ledger,
        now_us: int,
        *,
        quarantined: Sequence[Packed] = (),
        originals: Sequence[Packed] = (),
    ) -> list[Load]:
        """T1: the loads of one poll, the cursor and the ledger, with one fsync.

        `quarantined` are rows that no dead letter topic takes; `originals` are kept beside rows
        that go on cut short, and are counted with those.
        """
        everything = (*packed, *quarantined, *originals)
        self._require_room(sum(len(p.payload) + len(p.ids) for p in everything))
        # Kept before the commit: a publisher may take a load the moment it is there.
        with self._fresh.kept_if_done() as keep, self.transaction() as db:
            before = _cursor(db)
            for p in quarantined:
                put_in_quarantine(db, p.ids, p.payload, p.n, DEAD_LETTERS_OFF, now_us)
            for p in originals:
                put_in_quarantine(db, p.ids, p.payload, 0, _WHOLE_OF_A_DEAD_LETTER, now_us)
            poll = int(get_meta(db, "poll") or 0) + 1
            loads = [self._insert(db, p, poll, before, now_us) for p in packed]
            put_meta(db, "poll", poll)
            put_meta(db, "cursor", cursor)
            put_meta(db, "polled_at_us", now_us)
            if counts.accepted or counts.rejected:
                put_meta(db, "row_at_us", now_us)
            count(db, counts)
            keep(loads, packed)
        return loads

    def _insert(
        self, db: sqlite3.Connection, p: Packed, poll: int, before: bytes | None, now_us: int
    ) -> Load:
        tail = _tail(db, p.lane)
        seq, digest = tail.seq + 1, digest_of(p.ids, p.payload)
        sha256 = chain(tail.sha256, digest)
        key = _key(p.lane, seq)
        db.execute(
            "INSERT INTO loads VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,NULL)",
            (
                *(key, p.lane, seq, poll, State.PENDING, p.n, p.dead, len(p.payload)),
                *(json.dumps(p.topics), digest, sha256, before, p.newest_observed_s, now_us),
            ),
        )
        db.execute("INSERT INTO payloads VALUES (?,?)", (key, p.payload))
        db.execute("INSERT INTO ids VALUES (?,?)", (key, p.ids))
        put_meta(db, f"seq.{int(p.lane)}", seq)
        put_meta(db, f"sha.{int(p.lane)}", sha256)
        return Load(p.lane, seq, p.n, len(p.payload), p.topics, now_us, p.dead)

    # what waits

    def pending(self, lane: Lane, after_seq: int, max_loads: int = 256) -> list[Load]:
        """The next loads of a lane, in order."""
        rows = self._db.execute(
            "SELECT lane, seq, n, bytes, topics, created_at_us, dead FROM loads"
            " WHERE state = 0 AND lane = ? AND seq > ? ORDER BY seq LIMIT ?",
            (lane, after_seq, max_loads),
        )
        return [Load(Lane(a), b, c, d, tuple(json.loads(e)), f, g) for a, b, c, d, e, f, g in rows]

    def pending_totals(self) -> dict[Lane, tuple[int, int]]:
        """What waits: lane -> (records, bytes)."""
        rows = self._db.execute(
            "SELECT lane, SUM(n), SUM(bytes) FROM loads WHERE state = 0 GROUP BY lane"
        )
        return {Lane(lane): (n, size) for lane, n, size in rows}

    def read(self, load: Load, dlq_topic: str) -> Outgoing:
        """A load's rows, checked against its digest, re-addressed rows on their new topic."""
        key = _key(load.lane, load.seq)
        rows = self._fresh.take(load)
        if rows is not None:
            return outgoing(load.lane, load.seq, self._sha256_of(key), rows)
        row = self._db.execute(
            "SELECT l.digest, l.sha256, i.ids, p.payload FROM loads l JOIN ids i USING (key)"
            " JOIN payloads p USING (key) WHERE l.key = ?",
            (key,),
        ).fetchone()
        if row is None or digest_of(row[2], row[3]) != row[0]:
            raise SpoolCorrupt(
                f"load {load.lane.name} {load.seq} of {self.settings.source_id} does not match its "
                "SHA-256: the spool's file was damaged; see docs/recovery.md"
            )
        out = unpack(load.lane, load.seq, row[1], row[2], row[3])
        letters = self._letters(key)
        return readdress(out, letters, dlq_topic) if letters else out

    def _sha256_of(self, key: int) -> bytes:
        row = self._db.execute("SELECT sha256 FROM loads WHERE key = ?", (key,)).fetchone()
        return bytes(row[0])

    def _letters(self, key: int) -> dict[int, DeadLetter]:
        rows = self._db.execute("SELECT row, letter FROM readdressed WHERE key = ?", (key,))
        return {row: msgspec.json.decode(letter, type=DeadLetter) for row, letter in rows}

    def safe_cursor(self, taken: Mapping[Lane, int]) -> bytes | None:
        """The cursor up to which everything is published once `taken` (lane -> last seq) is."""
        oldest: tuple[int, bytes | None] | None = None
        for lane in Lane:
            row = self._db.execute(
                "SELECT poll, cursor_before FROM loads WHERE state = 0 AND lane = ? AND seq > ?"
                " ORDER BY seq LIMIT 1",
                (lane, taken.get(lane, 0)),
            ).fetchone()
            if row is not None and (oldest is None or row[0] < oldest[0]):
                oldest = row
        return self.cursor() if oldest is None else oldest[1]

    # T7

    def mark_published(
        self, through: Mapping[Lane, int], now_us: int, offsets: Mapping[Lane, int]
    ) -> int:
        """T7: every pending load up to the given seq of its lane; how many records that was.

        `offsets` says where each lane's offset record stands: recovery reads from there on.
        """
        total = 0
        with self.transaction() as db:
            for lane, seq in through.items():
                where = "WHERE state = 0 AND lane = ? AND seq <= ?"
                n, dead = db.execute(
                    f"SELECT COALESCE(SUM(n),0), COALESCE(SUM(dead),0) FROM loads {where}",
                    (lane, seq),
                ).fetchone()
                db.execute(
                    f"UPDATE loads SET state = {State.PUBLISHED}, done_at_us = ? {where}",
                    (now_us, lane, seq),
                )
                count(db, Ledger(published=n, dead=dead), lane)
                total += n
            for lane, offset in offsets.items():
                put_meta(db, f"k_offset.{int(lane)}", offset)
        return total

    def readdress(self, load: Load, letters: Mapping[int, DeadLetter]) -> None:
        """E1: address some rows of a pending load to the dead letter topic, with their reasons."""
        key = _key(load.lane, load.seq)
        self._fresh.take(load)
        with self.transaction() as db:
            added = sum(
                db.execute(
                    "INSERT OR IGNORE INTO readdressed VALUES (?,?,?)",
                    (key, row, msgspec.json.encode(letter)),
                ).rowcount
                for row, letter in letters.items()
            )
            db.execute("UPDATE loads SET dead = dead + ? WHERE key = ?", (added, key))

    # limits

    def evict(self, loads: Iterable[Load], reason: str, now_us: int) -> int:
        """Give up pending loads that were archived elsewhere; how many records."""
        total = 0
        with self.transaction() as db:
            for load in loads:
                self._fresh.take(load)
                key = _key(load.lane, load.seq)
                db.execute(
                    f"UPDATE loads SET state = {State.EVICTED}, done_at_us = ? WHERE key = ?",
                    (now_us, key),
                )
                db.execute("DELETE FROM payloads WHERE key = ?", (key,))
                count(db, Ledger(evicted=load.records), load.lane)
                total += load.records
            db.execute("INSERT INTO gaps VALUES (?,?,?)", (now_us, "evicted", reason))
        return total

    def raw(self, load: Load) -> tuple[bytes, bytes]:
        """Ids and payload as stored, for an archive."""
        row = self._db.execute(
            "SELECT i.ids, p.payload FROM ids i JOIN payloads p USING (key) WHERE key = ?",
            (_key(load.lane, load.seq),),
        ).fetchone()
        return row[0], row[1]

    def free(self, now_us: int) -> int:
        """Free what is no longer needed: payloads by age of publication, ids by the window."""
        published_before = now_us - int(self.settings.retain_s * 1e6)
        observed_before = now_us // 1_000_000 - self.settings.window_s - 86_400
        with self.transaction() as db:
            freed = db.execute(
                "DELETE FROM payloads WHERE key IN (SELECT key FROM loads WHERE state = 1"
                " AND done_at_us < ?)",
                (published_before,),
            ).rowcount
            gone = (
                "SELECT key FROM loads WHERE state > 0 AND newest_observed_s < ? AND done_at_us < ?"
                # Each lane's last published load says where its chain stands.
                " AND key NOT IN (SELECT MAX(key) FROM loads WHERE state = 1 GROUP BY lane)"
            )
            for table in ("ids", "readdressed", "loads"):
                db.execute(
                    f"DELETE FROM {table} WHERE key IN ({gone})",
                    (observed_before, published_before),
                )
        return freed

    def _require_room(self, incoming: int) -> None:
        free = shutil.disk_usage(self.settings.directory).free
        if free - incoming < self.settings.min_free_disk_bytes:
            raise SpoolFull(
                f"{self.settings.directory} has {free} bytes free, expected at least "
                f"{self.settings.min_free_disk_bytes} after this poll: free some space; polling "
                "waits and nothing is lost"
            )

    # index, ledger, cursor

    def index_rows(self) -> Iterator[npt.NDArray[np.void]]:
        """The id rows of every load and kept reject, for rebuilding the index."""
        for (blob,) in self._db.execute(
            "SELECT ids FROM ids UNION ALL SELECT ids FROM quarantine WHERE reason = ?",
            (DEAD_LETTERS_OFF,),
        ):
            yield np.frombuffer(blob, ID_ROW)

    def cursor(self) -> bytes | None:
        return _cursor(self._db)

    def tail(self, lane: Lane) -> Tail:
        return _tail(self._db, lane)

    def sha256_at(self, lane: Lane, seq: int) -> bytes | None:
        """The lane's chain at a seq; None where the load is not known here."""
        row = self._db.execute(
            "SELECT sha256 FROM loads WHERE key = ?", (_key(lane, seq),)
        ).fetchone()
        if row is not None:
            return bytes(row[0])
        tail = self.tail(lane)
        return tail.sha256 if tail.seq == seq else None

    def published_through(self, lane: Lane) -> int:
        """The last seq of a lane that is published; 0 where none is, or all before is adopted."""
        row = self._db.execute(
            f"SELECT MAX(seq) FROM loads WHERE state = {State.PUBLISHED} AND lane = ?", (lane,)
        ).fetchone()
        return int(row[0] or 0)

    def totals(self, lane: Lane) -> Ledger:
        """What this lane has published so far."""
        return Ledger.of(
            dict(self._db.execute("SELECT name, n FROM ledger WHERE lane = ?", (lane,)).fetchall())
        )

    def ledger(self) -> Ledger:
        """The whole account, pending counted afresh."""
        sums = dict(self._db.execute("SELECT name, SUM(n) FROM ledger GROUP BY name").fetchall())
        (waiting,) = self._db.execute(
            "SELECT COALESCE(SUM(n),0) FROM loads WHERE state = 0"
        ).fetchone()
        return Ledger.of({**sums, "pending": waiting})

    def gaps(self) -> list[tuple[int, str, str]]:
        return self._db.execute("SELECT at_us, kind, reason FROM gaps ORDER BY at_us").fetchall()

    def meta(self, name: str) -> str | bytes | int | None:
        return get_meta(self._db, name)

    def set_meta(self, **values: str | bytes | int | None) -> None:
        with self.transaction() as db:
            for name, value in values.items():
                put_meta(db, name, value)

    @property
    def _db(self) -> sqlite3.Connection:
        return self._file.connection()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One atomic unit on this thread's connection."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if error.sqlite_errorname == "SQLITE_FULL":
                raise SpoolFull(f"{self.settings.directory}: the disk is full") from error
            raise
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _key(lane: Lane, seq: int) -> int:
    return (int(lane) << _LANE_SHIFT) + seq


def _tail(db: sqlite3.Connection, lane: Lane) -> Tail:
    seq = get_meta(db, f"seq.{int(lane)}")
    sha = get_meta(db, f"sha.{int(lane)}")
    return Tail(int(seq or 0), sha if isinstance(sha, bytes) else GENESIS)


def _cursor(db: sqlite3.Connection) -> bytes | None:
    value = get_meta(db, "cursor")
    return value if isinstance(value, bytes) else None
