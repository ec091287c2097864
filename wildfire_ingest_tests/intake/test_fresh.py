"""What was just spooled is in memory exactly as long as it may be sent from there."""

from __future__ import annotations

import pytest

from wildfire_ingest.intake.fresh import Fresh
from wildfire_ingest.record import Lane, Load
from wildfire_ingest_tests.intake.packing import packed

PACKED = packed(Lane.LOW, 2)


def load(seq: int, n_bytes: int = 10) -> Load:
    return Load(Lane.LOW, seq, 2, n_bytes, ("t",), 0)


def test_a_load_is_taken_once() -> None:
    fresh = Fresh()
    fresh.keep([load(1)], [PACKED])

    assert fresh.take(load(1)) is PACKED.rows
    assert fresh.take(load(1)) is None


def test_what_does_not_fit_is_read_from_the_disk_and_taking_makes_room() -> None:
    fresh = Fresh(max_bytes=15)
    fresh.keep([load(1), load(2)], [PACKED, PACKED])

    assert fresh.take(load(2)) is None
    fresh.take(load(1))
    fresh.keep([load(3)], [PACKED])
    assert fresh.take(load(3)) is PACKED.rows


def test_loads_of_a_transaction_that_failed_are_forgotten() -> None:
    fresh = Fresh(max_bytes=15)

    def fail() -> None:
        with fresh.kept_if_done() as keep:
            keep([load(1)], [PACKED])
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()

    assert fresh.take(load(1)) is None
    fresh.keep([load(1)], [PACKED])
    assert fresh.take(load(1)) is PACKED.rows
