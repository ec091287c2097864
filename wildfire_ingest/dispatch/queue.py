"""Which load goes next: the in-memory front of the spool, four lanes of handles.

Pure: no clock, no thread, no I/O.  The engine's poller and its two publishers share one queue
and call it under the engine's lock; every call is O(1) for each load it moves, so the lock is
held for microseconds.  Sizes are records, times integer microseconds.

The queue may refuse a load, and then nothing is lost: the load stays in the spool and is
offered again later.  Data goes only where the spool's own limits are hit (eviction.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wildfire_ingest.dispatch.settings import SECOND_US, QueueSettings
from wildfire_ingest.record import Lane, Load

EXPRESS = (Lane.CRITICAL, Lane.HIGH)
BULK = (Lane.NORMAL, Lane.LOW)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What went through, in records; enqueued + put_back = dequeued + dropped + size."""

    size: int
    size_by_lane: tuple[int, int, int, int]
    """Indexed by Lane."""
    peak: int
    enqueued: int
    dequeued: int
    put_back: int
    dropped: int
    refused: int
    """Loads (not records) that were told to wait in the spool."""


class LoadQueue:
    """Handles of loads, each lane in the order of its seq.  Guarded by the caller's lock."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._lanes: tuple[deque[Load], ...] = tuple(deque() for _ in Lane)
        self._sizes = [0] * len(Lane)
        self._newest = [-1] * len(Lane)
        # NORMAL records served less LOW records served times their weight, while both wait:
        # above zero it is LOW's turn.  Kept between calls, so that small takes are fair too.
        self._low_is_owed = 0
        self._enqueued = self._dequeued = self._put_back = self._dropped = 0
        self._refused = self._peak = 0

    def room(self) -> int:
        """How many records may still be loaded; a load for an empty lane is always admitted."""
        return max(0, self._settings.max_records - sum(self._sizes))

    def offer(self, load: Load) -> bool:
        """Admit the load, or False: load no more of its lane and offer it again later.

        A lane that is empty admits one load whatever the others hold: an alert never waits
        for room behind less urgent records.  Raises ValueError for a seq out of order.
        """
        lane = load.lane
        if load.seq <= self._newest[lane]:
            raise ValueError(
                f"{lane.name} load {load.seq} offered after load {self._newest[lane]}: "
                "each load is offered once, in the order of its seq; give back what was taken "
                "with put_back"
            )
        if self._lanes[lane] and load.records > self.room():
            self._refused += 1
            return False
        self._newest[lane] = load.seq
        self._lanes[lane].append(load)
        self._enqueued += load.records
        self._grow(lane, load.records)
        return True

    def take(
        self,
        lanes: Sequence[Lane],
        *,
        max_records: int | None = None,
        max_bytes: int | None = None,
    ) -> list[Load]:
        """What one transaction may carry: at least one load where one waits, whatever its size.

        Express lanes go strictly by urgency; NORMAL and LOW share by records as the settings
        weigh them.  None = no limit.
        """
        taken: list[Load] = []
        records = n_bytes = 0
        while (lane := self._next_lane(lanes)) is not None:
            load = self._lanes[lane][0]
            records += load.records
            n_bytes += load.n_bytes
            too_many = max_records is not None and records > max_records
            too_large = max_bytes is not None and n_bytes > max_bytes
            if taken and (too_many or too_large):
                break
            self._serve(lane, lanes)
            taken.append(load)
        return taken

    def put_back(self, loads: Iterable[Load]) -> None:
        """Return what was taken and not sent to the head of its lanes, in the order of seq.

        A load may come back changed (some records now addressed to the dead letter topic)
        under its own lane and seq.  Raises ValueError where an earlier load was not taken.
        """
        for load in sorted(loads, key=lambda load: load.seq, reverse=True):
            waiting = self._lanes[load.lane]
            if load.seq > self._newest[load.lane] or (waiting and load.seq >= waiting[0].seq):
                raise ValueError(
                    f"{load.lane.name} load {load.seq} put back behind its place: "
                    "only loads that were taken can be put back, each once"
                )
            waiting.appendleft(load)
            self._put_back += load.records
            self._grow(load.lane, load.records)

    def drop(self, loads: Iterable[Load]) -> int:
        """Forget loads that the spool evicted; how many records of them were waiting here."""
        dropped = 0
        gone = {(load.lane, load.seq) for load in loads}
        for lane in {lane for lane, _ in gone}:
            kept = deque(load for load in self._lanes[lane] if (lane, load.seq) not in gone)
            freed = self._sizes[lane] - sum(load.records for load in kept)
            self._lanes[lane].clear()
            self._lanes[lane].extend(kept)
            self._sizes[lane] -= freed
            dropped += freed
        self._dropped += dropped
        return dropped

    def until_due_us(self, lanes: Sequence[Lane], now_us: int) -> int | None:
        """How long these lanes may still gather: 0 = take now, None = nothing waits.

        NORMAL and LOW gather until a batch is whole or its oldest load has waited long enough.
        """
        heads = [self._lanes[lane][0] for lane in lanes if self._lanes[lane]]
        if not heads:
            return None
        waiting = sum(self._sizes[lane] for lane in lanes)
        if waiting >= self._settings.batch_records or any(load.lane.is_express for load in heads):
            return 0
        waited_us = now_us - min(load.created_at_us for load in heads)
        if waited_us < 0:  # the clock was set back: a time in the future must not hold data
            return 0
        return max(0, int(self._settings.batch_timeout_s * SECOND_US) - waited_us)

    def waits(self, lane: Lane) -> bool:
        """Whether the lane holds a load."""
        return bool(self._lanes[lane])

    def counts(self) -> QueueCounts:
        """A snapshot of the counters."""
        critical, high, normal, low = self._sizes
        return QueueCounts(
            size=sum(self._sizes),
            size_by_lane=(critical, high, normal, low),
            peak=self._peak,
            enqueued=self._enqueued,
            dequeued=self._dequeued,
            put_back=self._put_back,
            dropped=self._dropped,
            refused=self._refused,
        )

    def _grow(self, lane: Lane, records: int) -> None:
        self._sizes[lane] += records
        self._peak = max(self._peak, sum(self._sizes))

    def _next_lane(self, lanes: Sequence[Lane]) -> Lane | None:
        waiting = [lane for lane in lanes if self._lanes[lane]]
        if not waiting:
            return None
        first = min(waiting)
        if first is Lane.NORMAL and Lane.LOW in waiting and self._low_is_owed > 0:
            return Lane.LOW
        return first

    def _serve(self, lane: Lane, lanes: Sequence[Lane]) -> None:
        if lane in BULK:
            self._settle(lane, both_wait=all(b in lanes and self._lanes[b] for b in BULK))
        load = self._lanes[lane].popleft()
        self._sizes[lane] -= load.records
        self._dequeued += load.records

    def _settle(self, lane: Lane, *, both_wait: bool) -> None:
        records = self._lanes[lane][0].records
        if not both_wait:  # a lane that has no rival neither earns nor owes
            self._low_is_owed = 0
        elif lane is Lane.NORMAL:
            self._low_is_owed += records
        else:
            self._low_is_owed -= records * self._settings.normal_weight
