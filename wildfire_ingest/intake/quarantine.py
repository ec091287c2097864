"""Takes rows that the broker refuses out of a load that waits (E1 where no dead letters are sent).

One SQLite transaction: they leave the load and are kept and counted, or nothing has happened.
The load keeps its number and its place in the chain, which later loads are built on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from wildfire_ingest.intake.load import ID_ROW, Rows, digest_of, pack, select
from wildfire_ingest.intake.spool import DEAD_LETTERS_OFF, Spool
from wildfire_ingest.intake.spool_rows import put_in_quarantine
from wildfire_ingest.record import DeadLetter, Load


def quarantine_rows(
    spool: Spool, load: Load, letters: Mapping[int, DeadLetter], dlq_topic: str, now_us: int
) -> None:
    """Rows of a pending load that no transaction holds: by place, each with its reason."""
    with spool.transaction() as db:
        (key,) = db.execute(
            "SELECT key FROM loads WHERE state = 0 AND lane = ? AND seq = ?", (load.lane, load.seq)
        ).fetchone()
        rows = _rows(spool, load, dlq_topic)
        left = pack(load.lane, select(rows, [n for n in range(len(rows)) if n not in letters]))
        gone = select(replace(rows, dead=letters), sorted(letters))
        out = pack(load.lane, gone)
        db.execute(
            "UPDATE loads SET n = ?, dead = ?, bytes = ?, topics = ?, digest = ? WHERE key = ?",
            (
                *(left.n, left.dead, len(left.payload), json.dumps(left.topics)),
                *(digest_of(left.ids, left.payload), key),
            ),
        )
        db.execute("UPDATE payloads SET payload = ? WHERE key = ?", (left.payload, key))
        db.execute("UPDATE ids SET ids = ? WHERE key = ?", (left.ids, key))
        # Rows that were readdressed before are so in the new payload.
        db.execute("DELETE FROM readdressed WHERE key = ?", (key,))
        put_in_quarantine(db, out.ids, out.payload, out.n, DEAD_LETTERS_OFF, now_us)


def _rows(spool: Spool, load: Load, dlq_topic: str) -> Rows:
    """What would be sent now, in the form that can be packed."""
    out = spool.read(load, dlq_topic)
    return Rows(
        topics=out.topics,
        types=[name.decode() for name in out.types],
        keys=out.keys,
        values=out.values,
        ids=np.frombuffer(spool.raw(load)[0], ID_ROW),
        dead=out.dead,
    )
