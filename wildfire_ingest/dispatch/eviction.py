"""Which loads have to go when the spool's limits are hit, or whether polling blocks instead.

Pure.  The caller leaves out loads that a transaction may already hold, archives what is
evicted or refused before it forgets it, and counts it.  Sizes in records and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wildfire_ingest.dispatch.settings import Overflow
from wildfire_ingest.record import Lane, Load


@dataclass(frozen=True, slots=True)
class Victims:
    """What the caller must do; `block` = drop nothing, poll no more until room appears."""

    evict: tuple[Load, ...] = ()
    """Least urgent first."""
    refuse_incoming: bool = False
    block: bool = False


@dataclass(frozen=True, slots=True)
class _Need:
    records: int
    n_bytes: int

    @property
    def is_met(self) -> bool:
        return self.records <= 0 and self.n_bytes <= 0

    def less(self, load: Load) -> _Need:
        return _Need(self.records - load.records, self.n_bytes - load.n_bytes)


def choose_victims(
    loads: Sequence[Load],
    *,
    need_records: int = 0,
    need_bytes: int = 0,
    incoming: Load | None = None,
    strategy: Overflow,
    allow_drop_critical: bool = False,
) -> Victims:
    """Free what is needed so that `incoming` fits (its own size included), least urgent first.

    Inside a lane drop_oldest begins with its oldest load and drop_newest with its newest, which
    is the incoming one.  CRITICAL goes only if allowed, an incoming CRITICAL never: where the
    others do not make enough room, nothing is dropped and the caller blocks.
    """
    need = _Need(need_records, need_bytes)
    if need.is_met:
        return Victims()
    if strategy == "block":
        return Victims(block=True)
    candidates = _in_order(loads, incoming, strategy, allow_drop_critical=allow_drop_critical)
    chosen = _enough(candidates, need)
    if chosen is None:
        return Victims(block=True)
    if incoming is None or incoming not in chosen:
        return Victims(evict=tuple(chosen))
    # Refused, the incoming needs no room: what was to be evicted for its sake may stay.
    others = [load for load in candidates if load is not incoming]
    return Victims(evict=tuple(_enough(others, need.less(incoming)) or ()), refuse_incoming=True)


def choose_expired(
    loads: Sequence[Load],
    *,
    created_before_us: int,
    strategy: Overflow,
    incoming_lane: Lane | None = None,
    allow_drop_critical: bool = False,
) -> Victims:
    """What an age limit asks for: the loads older than it, or no new ones while they wait."""
    expired = [load for load in loads if load.created_at_us < created_before_us]
    if not allow_drop_critical:
        expired = [load for load in expired if load.lane is not Lane.CRITICAL]
    if not expired:
        return Victims()
    match strategy:
        case "drop_oldest":
            return Victims(evict=tuple(sorted(expired, key=_oldest_first)))
        case "drop_newest":
            refuse = incoming_lane is not None and incoming_lane is not Lane.CRITICAL
            return Victims(refuse_incoming=refuse)
        case "block":
            return Victims(block=True)


def _in_order(
    loads: Sequence[Load],
    incoming: Load | None,
    strategy: Literal["drop_oldest", "drop_newest"],
    *,
    allow_drop_critical: bool,
) -> list[Load]:
    may_go = [load for load in loads if allow_drop_critical or load.lane is not Lane.CRITICAL]
    if incoming is not None and incoming.lane is not Lane.CRITICAL:
        may_go.append(incoming)
    return sorted(may_go, key=_oldest_first if strategy == "drop_oldest" else _newest_first)


def _enough(candidates: Sequence[Load], need: _Need) -> list[Load] | None:
    chosen: list[Load] = []
    for load in candidates:
        if need.is_met:
            break
        chosen.append(load)
        need = need.less(load)
    return chosen if need.is_met else None


def _oldest_first(load: Load) -> tuple[int, int]:
    return (-load.lane, load.seq)


def _newest_first(load: Load) -> tuple[int, int]:
    return (-load.lane, -load.seq)
