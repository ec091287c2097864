"""K: what Kafka itself remembers of a source, in the compacted offsets topic.

Pure values.  Two kinds of record in the source's partition: an OffsetRecord per lane (key
`source|lane`), written in the same transaction as the records it counts, and one Claim (key
`source`), which says who may publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import msgspec

from wildfire_ingest.record import Lane

PARTITIONS = 25
PublisherName = Literal["express", "bulk"]
PUBLISHERS: tuple[PublisherName, ...] = ("express", "bulk")
LANES: Mapping[PublisherName, tuple[Lane, ...]] = {
    "express": (Lane.CRITICAL, Lane.HIGH),
    "bulk": (Lane.NORMAL, Lane.LOW),
}


class OffsetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Every load of this lane up to `seq` is committed."""

    spool_id: str
    owner: str
    epoch: int
    seq: int
    sha256: str
    """Hex; the lane's chain at `seq`."""
    safe_cursor: str | None
    """The source's cursor (JSON) up to which every lane is committed."""
    records: int
    """All records of this lane ever committed, dead letters among them."""
    dead: int


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """From here on only `owner` publishes this source."""

    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An offset record and where it stands."""

    record: OffsetRecord
    offset: int


@dataclass(frozen=True, slots=True)
class OffsetsView:
    """What one source's partition says, read to a stated end."""

    lanes: Mapping[Lane, Stored] = field(default_factory=dict)
    claim: Claim | None = None
    end: int = 0

    @property
    def epoch(self) -> int:
        """The highest epoch that stands anywhere; 0 before the first owner."""
        epochs = [stored.record.epoch for stored in self.lanes.values()]
        return max([*epochs, self.claim.epoch if self.claim else 0])

    def newest_cursor(self) -> bytes | None:
        """The safe cursor of the record committed last."""
        if not self.lanes:
            return None
        cursor = max(self.lanes.values(), key=lambda s: s.offset).record.safe_cursor
        return None if cursor is None else cursor.encode()


def partition_of(source_id: str) -> int:
    """The source's partition of the offsets topic: the same in every process and release."""
    digest = blake2b(source_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % PARTITIONS
