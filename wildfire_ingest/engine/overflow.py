"""Room in the spool: when its limits are hit, what leaves is archived, counted and announced.

Nothing leaves that a transaction may hold, and nothing before recovery has decided what of it
is already in Kafka; then polling blocks (SpoolFull) as it does where no archive can be written.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        limit_bytes, limit_age_s = self._settings.spool_max_bytes, self._settings.spool_max_age_s
        if limit_bytes is None and limit_age_s is None:
            return list(packed), Ledger()
        if limit_age_s is not None:
            self._expire(now_us, limit_age_s)
        kept: list[Packed] = []
        refused = Ledger()
        for p in packed:
            if limit_bytes is None or self._fits(p, kept, limit_bytes, now_us):
                kept.append(p)
            else:
                refused = refused.plus(Ledger(evicted=p.n))
        return kept, refused

    def _fits(self, p: Packed, kept: Sequence[Packed], limit: int, now_us: int) -> bool:
        waiting = sum(size for _, size in self._spool.pending_totals().values())
        need = waiting + sum(len(k.payload) for k in kept) + len(p.payload) - limit
        if need <= 0:
            return True
        incoming = Load(p.lane, _MANY, p.n, len(p.payload), p.topics, now_us, p.dead)
        victims = choose_victims(
            self._candidates(),
            need_bytes=need,
            incoming=incoming,
            strategy=self._settings.queue.overflow,
            allow_drop_critical=self._settings.queue.allow_drop_critical,
        )
        reason = f"spool_max_bytes {limit} reached"
        if victims.block:
            raise SpoolFull(
                f"{reason}, {need} bytes too many and nothing may be dropped "
                f"(queue_overflow_strategy {self._settings.queue.overflow}): polling waits"
            )
        self._evict([load for load in victims.evict if load is not incoming], reason, now_us)
        if victims.refuse_incoming:
            self._keep_apart(incoming, p.ids, p.payload, reason, now_us)
        return not victims.refuse_incoming

    def _expire(self, now_us: int, limit_age_s: float) -> None:
        victims = choose_expired(
            self._candidates(),
            created_before_us=now_us - int(limit_age_s * 1e6),
            strategy=self._settings.queue.overflow,
            allow_drop_critical=self._settings.queue.allow_drop_critical,
        )
        reason = f"older than spool_max_age_seconds {limit_age_s:.0f}"
        if victims.block:
            raise SpoolFull(f"what waits is {reason}: polling waits until it is delivered")
        self._evict(list(victims.evict), reason, now_us)

    def _candidates(self) -> list[Load]:
        if not self.recovered:
            return []
        held = self._board.in_flight()
        loads = [load for lane in Lane for load in self._spool.pending(lane, 0, _MANY)]
        return [load for load in loads if (load.lane, load.seq) not in held]

    def _evict(self, loads: Sequence[Load], reason: str, now_us: int) -> None:
        if not loads:
            return
        for load in loads:
            ids, payload = self._spool.raw(load)
            self._keep_apart(load, ids, payload, reason, now_us)
        self._crash("overflow.after_archive")
        self._spool.evict(loads, reason, now_us)
        self._board.forget(loads)

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
