"""Packed loads for tests of the spool and of what stands on it."""

from __future__ import annotations

import itertools

import numpy as np

from wildfire_ingest.intake.load import ID_ROW, RECORD, Packed, Rows, pack
from wildfire_ingest.record import DeadLetter, Lane

_NEXT = itertools.count(1)
OBSERVED_S = 1_767_225_600


def letter(reason: str = "because") -> DeadLetter:
    return DeadLetter(reason, "bad", "decode", "wildfire-default", 1)


def packed(
    lane: Lane = Lane.NORMAL,
    n: int = 1,
    *,
    dead: int = 0,
    size: int = 10,
    observed_s: int = OBSERVED_S,
) -> Packed:
    """`n` rows that no other load has, the first `dead` of them dead letters."""
    ids = np.zeros(n, ID_ROW)
    ids["hi"], ids["lo"] = [next(_NEXT) for _ in range(n)], 7
    ids["observed_s"], ids["kind"] = observed_s, RECORD
    letters = {row: letter() for row in range(dead)}
    values = [b"v" * size for _ in range(n)]
    return pack(lane, Rows(["wildfire-default"] * n, ["r"] * n, [b"k"] * n, values, ids, letters))
