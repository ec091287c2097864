"""Loads and offset records as intake and the engine make them, for the contract tests."""

from __future__ import annotations

import numpy as np

from wildfire_ingest.intake.load import ID_ROW, RECORD, Rows, pack, unpack
from wildfire_ingest.offset import OffsetRecord
from wildfire_ingest.record import Lane, Outgoing


def outgoing(
    topic: str, values: list[bytes], *, seq: int = 1, lane: Lane = Lane.NORMAL, key: bytes = b"k"
) -> Outgoing:
    """One load; the id of a row is made of its seq and place."""
    ids = np.zeros(len(values), ID_ROW)
    ids["hi"], ids["lo"], ids["kind"] = seq, np.arange(len(values)), RECORD
    n = len(values)
    packed = pack(lane, Rows([topic] * n, ["reading"] * n, [key] * n, values, ids, {}))
    return unpack(lane, seq, bytes([seq]) * 32, packed.ids, packed.payload)


def offset(load: Outgoing, *, owner: str = "o", epoch: int = 1, spool: str = "s") -> OffsetRecord:
    """What says that everything up to this load is committed."""
    return OffsetRecord(
        spool_id=spool,
        owner=owner,
        epoch=epoch,
        seq=load.seq,
        sha256=load.sha256.hex(),
        safe_cursor='{"day":1}',
        records=len(load),
        dead=0,
    )
