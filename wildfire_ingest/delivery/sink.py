"""One source's way into Kafka, exactly once: pools of producers, the offsets partition, claims.

The engine decides when; this does one step at a time.  `owner` is unique to a run, so that a
claim read back tells our own time-out from another owner (both look like _FENCED).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from wildfire_ingest.clock import Clock
from wildfire_ingest.delivery.cluster import Cluster
from wildfire_ingest.delivery.offsets import OffsetsPartition
from wildfire_ingest.delivery.producers import Prepared, ProducerPool
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.delivery.tails import committed_since
from wildfire_ingest.delivery.transaction import CrashPoint, Transaction
from wildfire_ingest.errors import BrokerUnavailable, Superseded
from wildfire_ingest.offset import PUBLISHERS, Claim, OffsetRecord, OffsetsView, PublisherName
from wildfire_ingest.record import Lane, Outgoing

_TAKE_S = 20.0


class KafkaSink:
    """exactly_once: one transaction per call of `send`."""

    def __init__(
        self,
        settings: KafkaSettings,
        source_id: str,
        owner: str,
        clock: Clock,
        crash: CrashPoint = lambda _name: None,
    ) -> None:
        self.settings = settings
        self.owner = owner
        self._source_id = source_id
        self._crash = crash
        self._partition = OffsetsPartition(settings, source_id)
        self._pools = {p: ProducerPool(settings, source_id, p, clock) for p in PUBLISHERS}
        self._epoch = 0
        self._attentive: set[PublisherName] = set()
        """Publishers whose last transaction failed: the next one asks after each record."""
        self._need = threading.Event()
        self._over = threading.Event()
        self._cluster = Cluster(settings)

    @property
    def epoch(self) -> int:
        """Our claim's; 0 before it."""
        return self._epoch

    def reachable(self) -> bool:
        return self._cluster.reachable()

    def cluster_id(self) -> str:
        return self._cluster.cluster_id()

    def inspect(self, start: int, stop: threading.Event | None = None) -> OffsetsView:
        """R3, first half: fence everyone else, then read what is committed."""
        if not self.reachable():  # initialising would wait 15 s for the same answer
            raise BrokerUnavailable(
                f"no answer from {self.settings.bootstrap_servers}", code="_ALL_BROKERS_DOWN"
            )
        self._over.clear()
        for publisher in PUBLISHERS:
            self._pools[publisher].init_all()
        self._crash("recover.after_init")
        return self._partition.read(start, stop)

    def claim(self, epoch: int) -> None:
        """R3, second half: say through every id, in a fixed order, that we publish from now on."""
        for publisher in PUBLISHERS:
            pool = self._pools[publisher]
            for _ in pool.ids:
                prepared = self._take(publisher)
                self._transaction(prepared).claim(Claim(owner=self.owner, epoch=epoch))
            for name in pool.ids:
                pool.discard(name)
            pool.drop_all()
        self._epoch = epoch

    def prepare(self, publisher: PublisherName) -> bool:
        """Prepare one producer in the background; False when there was nothing to do.

        Raises Superseded when another owner has claimed the source.
        """
        return self._pools[publisher].prepare(self._check_before_use)

    def _check_before_use(self) -> None:
        """After an id was initialised: a claim on its way may be aborted yet, so that only what
        is committed stops the run.
        """
        if self._is_anothers(self._partition.peek()):
            self._check(self._partition.committed_claim(self._over))
        self._crash("txn.after_init")

    def wait_for_need(self, seconds: float, ended: threading.Event) -> None:
        """Wait until a producer was used up, at most so long."""
        if not ended.is_set():
            self._need.wait(seconds)
            self._need.clear()

    def send(
        self,
        publisher: PublisherName,
        loads: Sequence[Outgoing],
        offsets: Mapping[Lane, OffsetRecord],
    ) -> int:
        """T5 and T6; the offset of the first offset record.  After an error: `reconcile`."""
        transaction = Transaction(
            prepared := self._take(publisher),
            self.settings,
            self._source_id,
            self._crash,
            attentive=publisher in self._attentive,
        )
        self._attentive.add(publisher)
        offset = transaction.send(loads, offsets)
        self._attentive.discard(publisher)
        self._pools[publisher].retire(prepared)
        self._need.set()
        return offset

    def reconcile(
        self, publisher: PublisherName, start: int, stop: threading.Event | None = None
    ) -> OffsetsView:
        """T4: initialise all ids of the publisher, then read what is committed.

        Raises Superseded when another owner claimed the source.
        """
        self._pools[publisher].init_all()
        view = self._partition.read(start, stop)
        self._check(view.claim)
        return view

    def accepts(self, publisher: PublisherName, load: Outgoing, rows: Sequence[int]) -> bool:
        """E1: whether the broker takes these rows, tried in a transaction that is aborted."""
        prepared = self._take(publisher, prepare=True)
        try:
            return self._transaction(prepared).accepts(load, rows)
        finally:
            self._pools[publisher].retire(prepared)

    def tails(
        self, topics: Sequence[str], since_ms: int, stop: threading.Event | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """R5: what the topics hold since then."""
        return committed_since(self.settings, topics, since_ms, stop)

    def drop_producers(self) -> None:
        """After any failure: none of the prepared producers is used again."""
        for pool in self._pools.values():
            pool.drop_all()

    def wake(self) -> None:
        """End a wait_for_need: the run ends."""
        self._over.set()
        self._need.set()

    def close(self) -> None:
        self.wake()
        self.drop_producers()
        self._partition.close()

    def _transaction(self, prepared: Prepared) -> Transaction:
        return Transaction(prepared, self.settings, self._source_id, self._crash, attentive=True)

    def _take(self, publisher: PublisherName, *, prepare: bool = False) -> Prepared:
        if prepare:
            self.prepare(publisher)
        prepared = self._pools[publisher].take(_TAKE_S)
        self._need.set()
        if prepared is None:
            raise BrokerUnavailable(f"no producer for {publisher} got ready within {_TAKE_S:.0f} s")
        return prepared

    def _is_anothers(self, claim: Claim | None) -> bool:
        """Not ours and not older than ours."""
        return claim is not None and claim.owner != self.owner and claim.epoch >= self._epoch

    def _check(self, claim: Claim | None) -> None:
        """Another owner's claim that is not older than ours ends this run."""
        if claim is not None and self._is_anothers(claim):
            raise Superseded(
                f"source {self._source_id} was claimed by {claim.owner} with epoch {claim.epoch}, "
                f"ours is {self._epoch}",
                epoch=claim.epoch,
            )
