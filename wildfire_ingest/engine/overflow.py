"""Room in the spool: when its limits are hit, what leaves is archived, counted and announced.

Nothing leaves that a transaction may hold, and nothing before recovery has decided what of it
is already in Kafka; then polling blocks (SpoolFull) as it does where no archive can be written.
"""

from __future__ import annotations

from collections.abc import Sequence

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.dispatch.eviction import choose_expired, choose_victims
from wildfire_ingest.engine.board import Board
from wildfire_ingest.engine.events import Evicted
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.errors import SpoolFull
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import Packed
from wildfire_ingest.record import Lane, Load

_MANY = 1_000_000


class Room:
    """Makes room for a poll's loads; used by the poller's thread."""

    def __init__(self, settings: EngineSettings, parts: Parts, board: Board) -> None:
        self._settings = settings
        self._spool = parts.spool
        self._archive = parts.archive
        self._observer = parts.observer
        self._crash = parts.crash
        self._board = board
        self.recovered = False

    def make(self, packed: Sequence[Packed], now_us: int) -> tuple[list[Packed], Ledger]:
        """Evict what must go; the loads that may be spooled, and what of the poll was refused.

        Raises SpoolFull where nothing may be dropped.
        """
        kept: list[Packed] = []
        refused = Ledger()
        for p in packed:
            if self._is_young_enough(p, now_us) and self._fits(p, kept, now_us):
                kept.append(p)
            else:
                refused = refused.plus(Ledger(evicted=p.n))
        return kept, refused

    def may_have_to_drop(self) -> bool:
        """Whether a limit is set and something waits that it could hit."""
        limits = (self._settings.spool_max_bytes, self._settings.spool_max_age_s)
        return any(limit is not None for limit in limits) and bool(self._spool.pending_totals())

    def _fits(self, p: Packed, kept: Sequence[Packed], now_us: int) -> bool:
        limit = self._settings.spool_max_bytes
        if limit is None:
            return True
        reason = f"spool_max_bytes {limit} reached"
        coming = sum(len(k.payload) for k in kept) + len(p.payload)
        while True:
            waiting = sum(size for _, size in self._spool.pending_totals().values())
            if waiting + coming <= limit:
                return True
            self._require_recovery(reason)
            incoming = _as_load(p, now_us)
            victims = choose_victims(
                self._candidates(),
                need_bytes=waiting + coming - limit,
                incoming=incoming,
                strategy=self._settings.queue.overflow,
                allow_drop_critical=self._settings.queue.allow_drop_critical,
            )
            if victims.block:
                raise SpoolFull(
                    f"{reason}, {waiting + coming - limit} bytes too many and nothing may be "
                    f"dropped (queue_overflow_strategy {self._settings.queue.overflow}): "
                    "polling waits"
                )
            self._evict(victims.evict, reason, now_us)
            if victims.refuse_incoming:
                self._keep_apart(incoming, p.ids, p.payload, reason, now_us)
                return False

    def _is_young_enough(self, p: Packed, now_us: int) -> bool:
        """The age limit: what waits too long goes, or what comes is refused as long as it waits."""
        limit_s = self._settings.spool_max_age_s
        if limit_s is None or not self.recovered:
            return True
        reason = f"older than spool_max_age_seconds {limit_s:.0f}"
        victims = choose_expired(
            self._candidates(),
            created_before_us=now_us - int(limit_s * SECOND_US),
            strategy=self._settings.queue.overflow,
            incoming_lane=p.lane,
            allow_drop_critical=self._settings.queue.allow_drop_critical,
        )
        if victims.block:
            raise SpoolFull(f"what waits is {reason}: polling waits until it is delivered")
        self._evict(victims.evict, reason, now_us)
        if victims.refuse_incoming:
            reason = f"what waits is {reason}"
            self._keep_apart(_as_load(p, now_us), p.ids, p.payload, reason, now_us)
        return not victims.refuse_incoming

    def _require_recovery(self, reason: str) -> None:
        if not self.recovered:
            raise SpoolFull(
                f"{reason}, and what waits may be in Kafka already: polling waits until that "
                "is known"
            )

    def _candidates(self) -> list[Load]:
        held = self._board.in_flight()
        loads = [load for lane in Lane for load in self._spool.pending(lane, 0, _MANY)]
        return [load for load in loads if (load.lane, load.seq) not in held]

    def _evict(self, loads: Sequence[Load], reason: str, now_us: int) -> None:
        """Archive, then give up; not what a publisher has taken since it was chosen."""
        leaving = self._board.withdraw(loads)
        if not leaving:
            return
        gone: list[Load] = []
        try:
            for load in leaving:
                ids, payload = self._spool.raw(load)
                self._keep_apart(load, ids, payload, reason, now_us)
            self._crash("overflow.after_archive")
            self._spool.evict(leaving, reason, now_us)
            gone = leaving
        finally:
            self._board.forget(gone)

    def _keep_apart(self, load: Load, ids: bytes, payload: bytes, reason: str, now_us: int) -> None:
        source_id = self._settings.source_id
        try:
            self._archive.append(
                source_id, load, ids=ids, payload=payload, reason=reason, now_us=now_us
            )
        except OSError as error:
            raise SpoolFull(
                f"{reason}, and the overflow archive cannot be written ({error}): polling waits "
                "and nothing is dropped"
            ) from error
        self._observer.emit(
            Evicted(source_id=source_id, lane=load.lane, records=load.records, reason=reason)
        )


def _as_load(p: Packed, now_us: int) -> Load:
    return Load(p.lane, _MANY, p.n, len(p.payload), p.topics, now_us, p.dead)
