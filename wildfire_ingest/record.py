"""What flows: a Record or a Reject from a source, packed into a Load for one lane.

Pure values.  A source makes Records and Rejects; intake gives them their identity and packs
them; dispatch orders the loads; delivery sends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import msgspec


class Lane(IntEnum):
    """How urgent a record is.  A smaller number goes first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def is_express(self) -> bool:
        """CRITICAL and HIGH go at once; NORMAL and LOW gather."""
        return self <= Lane.HIGH


class Body(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The typed fields of one record type; subclasses name the type and its schema version.

    Field names carry their unit.  A field without a value is None and absent from the JSON.
    """

    record_type: ClassVar[str]
    schema_version: ClassVar[int]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One good row of an answer, before it has an id."""

    natural_key: bytes
    """What makes the observation the same in every answer; per connector."""
    observed_at_s: int
    """Event time, seconds since the epoch, UTC."""
    partition_key: bytes
    """Kafka key: a sensor or station id, or a cell; stable across processes."""
    body: Body


class Reject(msgspec.Struct, frozen=True, gc=False):
    """One bad row: its raw bytes and why it cannot be a record."""

    raw: bytes
    reason: str
    """For a person: what was found and what was expected."""
    error_class: str
    """A short stable word for counting: `bad_number`, `bad_time`, `ragged_row` …"""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer, read: every row of it is in exactly one of these."""

    records: list[Record]
    rejects: list[Reject]
    filtered: int = 0
    """Rows left out because the configuration asks for it (area, satellite)."""
    notes: tuple[str, ...] = ()
    """What a person should know: a new column, a suspiciously small answer."""

    @property
    def rows(self) -> int:
        return len(self.records) + len(self.rejects) + self.filtered


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought, and the cursor that is true once it is spooled."""

    decoded: Decoded
    cursor: bytes
    """Opaque to everyone but the source; JSON."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one poll brought for one lane (a large poll is cut into several), by name only.

    The payload stays in the spool until it is sent.
    """

    lane: Lane
    seq: int
    records: int
    n_bytes: int
    topics: tuple[str, ...]
    created_at_us: int
    dead: int = 0
    """How many of `records` are addressed to the dead letter topic."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a row goes to the dead letter topic instead of its own."""

    reason: str
    error_class: str
    stage: str
    """Where it failed: `decode`, `client` (too large to send) or `broker` (refused)."""
    original_topic: str
    first_failed_at_us: int
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One load as it goes to Kafka; the sequences run in parallel, a row per index."""

    lane: Lane
    seq: int
    sha256: bytes
    """The lane's chain up to and with this load."""
    topics: Sequence[str]
    keys: Sequence[bytes]
    values: Sequence[bytes]
    ids: Sequence[bytes]
    """`<32 hex digits>.<revision>`: what exactly once is counted on."""
    types: Sequence[bytes]
    observed_at_s: Sequence[int]
    dead: Mapping[int, DeadLetter]
    """The rows addressed to the dead letter topic."""

    def __len__(self) -> int:
        return len(self.values)
