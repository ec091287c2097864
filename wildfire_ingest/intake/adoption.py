"""Brings a spool in line with Kafka: adopt (R5) and reopen (K behind), one commit each."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wildfire_ingest.intake.identity import reject_id
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import ID_ROW, REJECT
from wildfire_ingest.intake.spool import Spool, State
from wildfire_ingest.intake.spool_rows import count, put_in_quarantine, put_meta
from wildfire_ingest.offset import OffsetsView
from wildfire_ingest.record import Lane


@dataclass(frozen=True, slots=True)
class Adopted:
    """What adopting did to the spool."""

    quarantined: int
    known_ids: int


def matches(spool: Spool, view: OffsetsView) -> bool:
    """Whether this spool is the one that wrote, or last adopted, every offset record."""
    adopted = json.loads(str(spool.meta("adopted_from") or "{}"))
    for lane, stored in view.lanes.items():
        record = stored.record
        own = record.spool_id == spool.spool_id
        if own and spool.sha256_at(lane, record.seq) == bytes.fromhex(record.sha256):
            continue
        if adopted.get(lane.name) == [record.spool_id, record.seq, record.sha256]:
            continue
        return False
    return True


def adopt(
    spool: Spool, view: OffsetsView, id_rows: npt.NDArray[np.void], now_us: int, reason: str
) -> Adopted:
    """R5: a new identity, numbers and chains that go on where Kafka's end, an index from the
    topics' tails; what waited in the old spool is quarantined, the gap is written down.
    """
    spool.forget_fresh()
    with spool.transaction() as db:
        waiting = db.execute(
            "SELECT l.key, l.n, i.ids, p.payload FROM loads l JOIN ids i USING (key)"
            " JOIN payloads p USING (key) WHERE l.state = 0"
        ).fetchall()
        db.execute("DELETE FROM ledger")
        for _, n, ids, payload in waiting:
            put_in_quarantine(db, ids, payload, n, reason, now_us)
        for table in ("loads", "payloads", "ids", "readdressed"):
            db.execute(f"DELETE FROM {table}")
        put_meta(db, "spool_id", uuid.uuid4().hex)
        put_meta(db, "adopted_from", json.dumps(_adopted_from(view)))
        put_meta(db, "cursor", view.newest_cursor())
        for lane in Lane:
            stored = view.lanes.get(lane)
            put_meta(db, f"seq.{int(lane)}", stored.record.seq if stored else 0)
            put_meta(
                db, f"sha.{int(lane)}", bytes.fromhex(stored.record.sha256) if stored else None
            )
            if stored:
                done, dead = stored.record.records, stored.record.dead
                count(db, Ledger(published=done, dead=dead), lane)
                count(db, Ledger(fetched=done, accepted=done - dead, rejected=dead))
        kept = sum(n for _, n, _, _ in waiting)
        count(db, Ledger(fetched=kept, accepted=kept))
        _keep_index(db, id_rows, now_us)
        db.execute("INSERT INTO gaps VALUES (?,?,?)", (now_us, "adopted", reason))
    return Adopted(kept, len(id_rows))


def reject_rows(
    source_type: str, letters: Iterable[tuple[bytes, bytes]], now_s: int
) -> npt.NDArray[np.void]:
    """Id rows of the bad rows among the dead letters, (`id` header, value) pairs: the same row
    must not be dead-lettered again.  A bad row's id is that of its raw bytes.
    """
    rows = []
    for header, value in letters:
        digest = reject_id(source_type, value)
        if header.partition(b".")[0] == digest.hex().encode():
            hi, lo = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
            rows.append((hi, lo, 0, now_s, 0, REJECT))
    return np.array(rows, ID_ROW)


def reopen(spool: Spool, lane: Lane, after_seq: int, now_us: int) -> tuple[int, int]:
    """The broker lost what it had acknowledged: loads after `after_seq` wait again where their
    payload is still held; (records that wait again, records that are gone).
    """
    with spool.transaction() as db:
        where = f"lane = ? AND seq > ? AND state = {State.PUBLISHED}"
        held = f"{where} AND key IN (SELECT key FROM payloads)"
        again, dead = db.execute(
            f"SELECT COALESCE(SUM(n),0), COALESCE(SUM(dead),0) FROM loads WHERE {held}",
            (lane, after_seq),
        ).fetchone()
        (all_of_it,) = db.execute(
            f"SELECT COALESCE(SUM(n),0) FROM loads WHERE {where}", (lane, after_seq)
        ).fetchone()
        db.execute(
            f"UPDATE loads SET state = {State.PENDING}, done_at_us = NULL WHERE {held}",
            (lane, after_seq),
        )
        count(db, Ledger(published=-again, dead=-dead), lane)
        db.execute(
            "INSERT INTO gaps VALUES (?,?,?)",
            (now_us, "broker_lost", f"{lane.name} after {after_seq}: {all_of_it - again} records"),
        )
    return again, all_of_it - again


def _adopted_from(view: OffsetsView) -> Mapping[str, tuple[str, int, str]]:
    return {
        lane.name: (stored.record.spool_id, stored.record.seq, stored.record.sha256)
        for lane, stored in view.lanes.items()
    }


def _keep_index(db: sqlite3.Connection, id_rows: npt.NDArray[np.void], now_us: int) -> None:
    """The tails' ids under a load of their own without records, so that restarts find them."""
    if not len(id_rows):
        return
    newest = int(id_rows["observed_s"].max())
    columns = (-1, -1, 0, 0, State.PUBLISHED, 0, 0, 0, "[]", b"", b"", None, newest, now_us, now_us)
    db.execute(f"INSERT INTO loads VALUES ({','.join('?' * len(columns))})", columns)
    # Concatenating arrays gives native byte order, the blob has its own.
    db.execute("INSERT INTO ids VALUES (-1, ?)", (id_rows.astype(ID_ROW).tobytes(),))
