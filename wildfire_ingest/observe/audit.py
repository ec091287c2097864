"""Whether a source's books close: its spool against the offset records against the topics.

Pure.  What the topics hold is counted by id and revision.  Of a topic with retention only loads
that are younger than the oldest record it still has are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wildfire_ingest.intake.load import id_headers
from wildfire_ingest.intake.spool import State
from wildfire_ingest.observe.spool_view import NOT_A_LANE, KeptLoad, SpoolView
from wildfire_ingest.offset import OffsetsView
from wildfire_ingest.record import Lane

EXAMPLES = 3
FOR_EVER = 1 << 62
"""Horizon of a topic that may have dropped anything at any time (a compacted one)."""


@dataclass(slots=True)
class Held:
    """What the topics hold of one source, committed."""

    ids: dict[bytes, int] = field(default_factory=dict)
    """`<32 hex>.<revision>` -> how often."""
    dead: int = 0
    """How many of them are in the dead letter topic."""

    @property
    def records(self) -> int:
        return sum(self.ids.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything an audit compares; the spool was looked at before and after the topics."""

    source_id: str
    before: SpoolView | None
    after: SpoolView | None
    offsets: OffsetsView
    held: Held
    horizons: Mapping[str, int] = field(default_factory=dict)
    """topic -> only what was spooled later than this (us) is surely still there; 0 = all of it."""
    dlq_topic: str = ""
    is_exactly_once: bool = True
    is_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The numbers of one source and what does not close."""

    source_id: str
    published: int
    """By the spool."""
    counted: int
    """By the offset records."""
    in_topics: int
    distinct: int
    dead: int
    pending: int
    lost: int = 0
    doubled: int = 0
    foreign: int = 0
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(e: Evidence) -> Verdict:
    """Compare; `faults` is empty when all closes."""
    faults, notes = list(_ledger_faults(e)), list(_notes(e))
    lost = _lost(e)
    doubled = [one for one, n in e.held.ids.items() if n > 1]
    foreign = _foreign(e)
    too_many = max(0, len(foreign) - _unnamed(e))
    missing = _missing_total(e)
    if lost:
        faults.append(f"lost: {len(lost)} published records are not in the topics{_some(lost)}")
    elif missing:
        faults.append(f"lost: the offset records count {missing} more than the topics hold")
    if doubled:
        words = f"doubled: {len(doubled)} records are there more than once{_some(doubled)}"
        (faults if e.is_exactly_once else notes).append(words)
    if too_many:
        named = _some(foreign) if too_many == len(foreign) else ""
        faults.append(f"foreign: {too_many} records in the topics were never published{named}")
    return Verdict(
        source_id=e.source_id,
        published=e.after.ledger.published if e.after else 0,
        counted=_counted(e),
        in_topics=e.held.records,
        distinct=len(e.held.ids),
        dead=e.held.dead,
        pending=e.after.ledger.pending if e.after else 0,
        lost=len(lost) or missing,
        doubled=sum(n - 1 for n in e.held.ids.values()),
        foreign=too_many,
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _counted(e: Evidence) -> int:
    return sum(stored.record.records for stored in e.offsets.lanes.values())


def _ledger_faults(e: Evidence) -> list[str]:
    if e.after is None or e.before is None:
        return []
    faults = [f"ledger: {one}" for one in e.after.ledger.faults()]
    for lane in Lane:
        stored = e.offsets.lanes.get(lane)
        told = stored.record.records if stored else 0
        low = e.before.lanes[lane].published
        # What is committed and not marked yet is pending still: the next start marks it.
        high = e.after.lanes[lane].published + e.after.pending.get(lane, (0, 0))[0]
        if stored and not _is_ours(e.after, lane, stored.record.spool_id):
            faults.append(
                f"{lane.name}: the offset record is of another spool (seq {stored.record.seq}): "
                "the source ran elsewhere, or this spool was replaced"
            )
        elif not low <= told <= high:
            faults.append(f"{lane.name}: the offset record counts {told}, the ledger {low}")
    return faults


def _is_ours(spool: SpoolView, lane: Lane, spool_id: str) -> bool:
    adopted = spool.adopted_from.get(lane.name)
    return spool_id == spool.spool_id or (adopted is not None and adopted[0] == spool_id)


def _notes(e: Evidence) -> list[str]:
    notes = []
    if e.is_running:
        notes.append("it is running: what is under way is not compared")
    if e.after is None:
        notes.append("it has no spool here: only the offset records and the topics are compared")
    cut = sorted(topic for topic, horizon in e.horizons.items() if horizon)
    if cut:
        notes.append(f"only what is inside the retention of {', '.join(cut)} is compared")
    return notes


def _lost(e: Evidence) -> list[bytes]:
    """Published by the spool, not in the topics."""
    loads = e.before.loads if e.before else ()
    return [
        one
        for load in loads
        if load.state == State.PUBLISHED and load.lane != NOT_A_LANE and _is_kept(e, load)
        for one in id_headers(load.rows)
        if one not in e.held.ids
    ]


def _is_kept(e: Evidence, load: KeptLoad) -> bool:
    topics = [*load.topics, e.dlq_topic] if load.dead else load.topics
    return all(load.created_at_us > e.horizons.get(topic, 0) for topic in topics)


def _foreign(e: Evidence) -> list[bytes]:
    """In the topics, and neither published nor committed by the spool as far as it remembers."""
    if e.after is None:
        return []
    known: set[bytes] = set()
    for load in e.after.loads:
        if load.state == State.PUBLISHED or _is_committed(e, load):
            known.update(id_headers(load.rows))
    return [one for one in e.held.ids if one not in known]


def _is_committed(e: Evidence, load: KeptLoad) -> bool:
    if load.state != State.PENDING:
        return False
    stored = e.offsets.lanes.get(Lane(load.lane))
    # A running source may have committed it since; nobody else has these ids.
    return e.is_running or (stored is not None and load.seq <= stored.record.seq)


def _unnamed(e: Evidence) -> int:
    """How many published records the spool knows by number only: their ids were freed."""
    if e.after is None:
        return 0
    named: list[npt.NDArray[np.void]] = [
        load.rows for load in e.after.loads if load.state == State.PUBLISHED
    ]
    return max(0, e.after.ledger.published - sum(map(len, named)))


def _missing_total(e: Evidence) -> int:
    """What the offset records count beyond the topics, where nothing can have been dropped."""
    if any(e.horizons.values()) or e.is_running:
        return 0
    return max(0, _counted(e) - len(e.held.ids))


def _some(ids: list[bytes]) -> str:
    more = " …" if len(ids) > EXAMPLES else ""
    return f": {', '.join(one.decode('ascii', 'replace') for one in ids[:EXAMPLES])}{more}"
