"""What happens before a source may publish: R3 to R6 of the delivery protocol.

Fence everyone else, read what Kafka says, claim the source, and bring the spool in line with it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import numpy as np

from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.engine.events import Degraded, Recovered
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.errors import DeliveryDenied, Superseded
from wildfire_ingest.intake.adoption import adopt, matches, reject_rows, reopen
from wildfire_ingest.intake.intake import id_rows_of_values
from wildfire_ingest.offset import OffsetsView
from wildfire_ingest.record import Lane

_OBSERVED = re.compile(rb'"observed_at":"([^"]+)"')
_MARGIN_MS = 86_400_000
"""Records were written to Kafka after they were observed; a clock may be a day off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What a person allowed for this start."""

    take_over: bool = False
    """Go on although another owner has claimed the source."""
    republish: bool = False
    """Send again what the broker lost."""


class Recovery:
    """One start of one source."""

    def __init__(
        self,
        settings: EngineSettings,
        parts: Parts,
        permissions: Permissions,
        intake_lock: threading.Lock,
    ) -> None:
        self._settings = settings
        self._spool = parts.spool
        self._sink = parts.sink
        self._intake = parts.intake
        self._observer = parts.observer
        self._clock = parts.clock
        self._crash = parts.crash
        self._permissions = permissions
        self._intake_lock = intake_lock
        self._source_type = parts.source.source_type
        self.adopted = False
        """Whether this start had to adopt what Kafka holds."""

    def run(self, stop: threading.Event) -> int:
        """R3 to R6; the end of the offsets partition that was read.

        Raises a DeliveryError (try again while the broker is away), Superseded, DeliveryDenied
        (the broker lost acknowledged data: a person decides).
        """
        self._refuse_if_superseded()
        view = self._sink.inspect(self._remembered_offset(), stop)
        self._crash("recover.after_read")
        self._sink.claim(view.epoch + 1)
        self._spool.set_meta(epoch=self._sink.epoch, owner=self._sink.owner, superseded=None)
        self._crash("recover.after_claim")
        self.adopted = not matches(self._spool, view)
        if self.adopted:
            with self._intake_lock:
                self._adopt(view, stop)
            self._crash("recover.after_adopt")
            done = 0
        else:
            done = self._mark(view)
            self._check_behind(view)
        self._check_totals(view)
        waiting = sum(n for n, _ in self._spool.pending_totals().values())
        self._observer.emit(
            Recovered(
                source_id=self._settings.source_id,
                epoch=self._sink.epoch,
                published_meanwhile=done,
                pending=waiting,
                adopted=self.adopted,
            )
        )
        return view.end

    def _refuse_if_superseded(self) -> None:
        epoch = self._spool.meta("superseded")
        if isinstance(epoch, int) and not self._permissions.take_over:
            raise Superseded(
                f"source {self._settings.source_id} was superseded by another owner (epoch "
                f"{epoch}); if that owner is gone for good: wildfire-ingest recover "
                f"{self._settings.source_id} --take-over",
                epoch=epoch,
            )

    def _remembered_offset(self) -> int:
        """From the oldest of the lanes' last offset records on; 0 for a spool without any."""
        known = [self._spool.meta(f"k_offset.{int(lane)}") for lane in Lane]
        offsets = [int(k) for k in known if k is not None]
        return min(offsets, default=0)

    def _mark(self, view: OffsetsView) -> int:
        """R4: what Kafka has is published, whatever we knew."""
        spool_id = self._spool.spool_id
        own = {lane: s for lane, s in view.lanes.items() if s.record.spool_id == spool_id}
        return self._spool.mark_published(
            {lane: stored.record.seq for lane, stored in own.items()},
            self._clock.now_us(),
            {lane: stored.offset for lane, stored in own.items()},
        )

    def _check_behind(self, view: OffsetsView) -> None:
        """Kafka knows less than this spool has published: it lost acknowledged data."""
        behind = {}
        for lane in Lane:
            stored = view.lanes.get(lane)
            known = stored.record.seq if stored else self._adopted_seq(lane)
            if self._spool.published_through(lane) > known:
                behind[lane] = known
        cluster = self._sink.cluster_id()
        replaced = self._spool.meta("cluster_id") not in (None, cluster)
        if not behind:
            self._spool.set_meta(cluster_id=cluster)
            return
        if not (replaced or self._permissions.republish):
            raise DeliveryDenied(
                f"the broker has lost records of {self._settings.source_id} that it had "
                f"acknowledged ({', '.join(lane.name for lane in behind)}): see docs/recovery.md; "
                f"wildfire-ingest recover {self._settings.source_id} --republish sends again what "
                "is still held"
            )
        for lane, seq in behind.items():
            again, gone = reopen(self._spool, lane, seq, self._clock.now_us())
            self._degraded(
                f"{lane.name}: {again} records are sent again, {gone} are no longer held"
            )
        self._spool.set_meta(cluster_id=cluster)

    def _adopted_seq(self, lane: Lane) -> int:
        tail = self._spool.meta(f"adopted_seq.{int(lane)}")
        return int(tail or 0)

    def _adopt(self, view: OffsetsView, stop: threading.Event) -> None:
        now_us = self._clock.now_us()
        since_ms = now_us // 1000 - self._settings.window_s * 1000 - _MARGIN_MS
        since_ms = max(0, since_ms)
        letters = list(self._sink.tails((self._settings.dlq_topic,), since_ms, stop))
        records = id_rows_of_values(self._own_values(letters, since_ms, stop), _observed_s)
        rejects = reject_rows(self._source_type, letters, now_us // SECOND_US)
        rows = np.concatenate([records, rejects])
        reason = "this spool did not write the offset records that Kafka holds"
        result = adopt(self._spool, view, rows, now_us, reason)
        self._spool.set_meta(
            cluster_id=self._sink.cluster_id(),
            **{f"adopted_seq.{int(lane)}": s.record.seq for lane, s in view.lanes.items()},
        )
        self._intake.restore([rows])
        self._degraded(
            f"{reason}: adopted; {result.known_ids} ids read back from the topics, "
            f"{result.quarantined} waiting records quarantined (see docs/recovery.md)"
        )

    def _own_values(
        self, letters: Sequence[tuple[bytes, bytes]], since_ms: int, stop: threading.Event
    ) -> Iterator[tuple[bytes, bytes]]:
        """Our records in the topics, and those that the broker had refused."""
        mine = b'"source_id":"%b"' % self._settings.source_id.encode()
        records = self._sink.tails(self._settings.topics, since_ms, stop)
        for record_id, value in chain(records, letters):
            if mine in value[:512] and value.startswith(b'{"id":"'):
                yield record_id, value

    def _check_totals(self, view: OffsetsView) -> None:
        """R6: Kafka's totals against the ledger's."""
        for lane, stored in view.lanes.items():
            ours = self._spool.totals(lane).published
            if stored.record.spool_id == self._spool.spool_id and ours != stored.record.records:
                self._degraded(
                    f"{lane.name}: Kafka counts {stored.record.records} records, "
                    f"the ledger {ours}: run wildfire-ingest audit"
                )

    def _degraded(self, reason: str) -> None:
        self._observer.emit(Degraded(source_id=self._settings.source_id, reason=reason))


def _observed_s(value: bytes) -> int:
    found = _OBSERVED.search(value[:512])
    text = found.group(1).decode() if found else "1970-01-01T00:00:00Z"
    return int(datetime.fromisoformat(text).timestamp())
