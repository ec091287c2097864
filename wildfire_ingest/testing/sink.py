"""One source's way into a FakeKafka: the same steps as the real sink's, without a network."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from wildfire_ingest.clock import Clock
from wildfire_ingest.errors import BrokerUnavailable, RecordRefused, Superseded
from wildfire_ingest.offset import PUBLISHERS, Claim, OffsetRecord, OffsetsView, PublisherName
from wildfire_ingest.record import Lane, Outgoing
from wildfire_ingest.testing.clock import FakeClock
from wildfire_ingest.testing.kafka import Batch, FakeKafka, Message, ProducerEpoch

POOL_SIZE = 2


class FakeSink:
    """An `engine.ports.Sink` over a FakeKafka that it may share with other owners and sources."""

    def __init__(
        self,
        kafka: FakeKafka | None = None,
        source_id: str = "source",
        *,
        owner: str | None = None,
        clock: Clock | None = None,
        crash: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.kafka = kafka or FakeKafka()
        self.owner = owner or f"fake:{uuid.uuid4().hex[:8]}"
        self._source_id = source_id
        self._clock = clock or FakeClock()
        self._crash = crash
        self._epoch = 0
        self._ready: dict[PublisherName, list[ProducerEpoch]] = {name: [] for name in PUBLISHERS}
        self._turn = dict.fromkeys(PUBLISHERS, 0)
        self._lock = threading.Lock()
        self._need = threading.Event()

    @property
    def epoch(self) -> int:
        """Our claim's; 0 before it."""
        return self._epoch

    def reachable(self) -> bool:
        """Whether the broker is there now."""
        try:
            self.kafka.reach("asking for metadata")
        except BrokerUnavailable:
            return False
        return True

    def cluster_id(self) -> str:
        """Changes with `replace_cluster`."""
        self.kafka.reach("asking for the cluster's id")
        return self.kafka.cluster_id

    def inspect(self, start: int, stop: threading.Event | None = None) -> OffsetsView:
        """Fence every other producer of the source, then read what is committed."""
        for publisher in PUBLISHERS:
            self._init_all(publisher)
        self._crash("recover.after_init")
        return self.kafka.read_offsets(self._source_id, start, stop)

    def claim(self, epoch: int) -> None:
        """Commit our claim through every id."""
        for publisher in PUBLISHERS:
            for producer in self._take_all(publisher):
                batch = self.kafka.begin(producer)
                claim = Claim(owner=self.owner, epoch=epoch)
                self.kafka.write_offset(batch, self._source_id, claim, None)
                self.kafka.end(producer, batch, "committed")
        self._epoch = epoch

    def prepare(self, publisher: PublisherName) -> bool:
        """One more producer.  Raises Superseded at another owner's claim."""
        with self._lock:
            if len(self._ready[publisher]) >= POOL_SIZE:
                return False
            turn = self._turn[publisher]
            self._turn[publisher] = (turn + 1) % POOL_SIZE
            producer = self.kafka.init(self._ids(publisher)[turn])
            self._check(self.kafka.newest_claim(self._source_id))
            self._ready[publisher].append(producer)
        self._crash("txn.after_init")
        return True

    def wait_for_need(self, seconds: float, ended: threading.Event) -> None:
        """Wait until a producer was used up."""
        if not ended.is_set():
            self._need.wait(seconds)
            self._need.clear()

    def send(
        self,
        publisher: PublisherName,
        loads: Sequence[Outgoing],
        offsets: Mapping[Lane, OffsetRecord],
    ) -> int:
        """One transaction, all or nothing; where the first of its offset records stands."""
        producer = self._take(publisher)
        self.kafka.reach("sending")
        failure = self.kafka.failure()
        batch = self.kafka.begin(producer)
        self._crash("txn.after_begin")
        for n, load in enumerate(loads):
            self._write(batch, load)
            if n == len(loads) // 2:
                self._crash("txn.half_produced")
        places = [
            self.kafka.write_offset(batch, self._source_id, record, lane)
            for lane, record in sorted(offsets.items())
        ]
        if failure is not None:
            raise failure
        self._crash("txn.before_commit")
        self.kafka.end(producer, batch, "committed")
        self._crash("txn.after_commit")
        return min(places)

    def reconcile(
        self, publisher: PublisherName, start: int, stop: threading.Event | None = None
    ) -> OffsetsView:
        """What is committed.  Raises Superseded when another owner claimed the source."""
        self._init_all(publisher)
        view = self.kafka.read_offsets(self._source_id, start, stop)
        self._check(view.claim)
        return view

    def accepts(self, publisher: PublisherName, load: Outgoing, rows: Sequence[int]) -> bool:
        """Whether the broker takes these rows, tried in a transaction that is aborted."""
        producer = self._take(publisher)
        self.kafka.reach("trying a record")
        batch = self.kafka.begin(producer)
        try:
            self._write(batch, load, frozenset(rows))
        except RecordRefused:
            return False
        finally:
            self.kafka.end(producer, batch, "aborted")
        return True

    def tails(
        self, topics: Sequence[str], since_ms: int, stop: threading.Event | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """What the topics hold since then, committed."""
        del stop
        self.kafka.reach("reading back")
        for message in self.kafka.visible(*topics) if topics else []:
            if message.written_at_us // 1000 >= since_ms:
                yield message.id.encode(), message.value

    def wake(self) -> None:
        """End a wait_for_need."""
        self._need.set()

    def close(self) -> None:
        """Closing twice is closing once; what was left open stays open, as on a real broker."""
        self.wake()

    def _ids(self, publisher: PublisherName) -> list[str]:
        return [f"wf.test.{self._source_id}.{publisher}.{n}" for n in range(POOL_SIZE)]

    def _init_all(self, publisher: PublisherName) -> None:
        with self._lock:
            self._ready[publisher] = [self.kafka.init(name) for name in self._ids(publisher)]

    def _take_all(self, publisher: PublisherName) -> list[ProducerEpoch]:
        with self._lock:
            taken, self._ready[publisher] = self._ready[publisher], []
            return taken

    def _take(self, publisher: PublisherName) -> ProducerEpoch:
        self._need.set()
        while True:
            with self._lock:
                if self._ready[publisher]:
                    return self._ready[publisher].pop(0)
            self.prepare(publisher)

    def _write(self, batch: Batch, load: Outgoing, only: frozenset[int] | None = None) -> None:
        for row, topic in enumerate(load.topics):
            if only is not None and row not in only:
                continue
            message = Message(
                topic=topic,
                offset=-1,
                key=load.keys[row],
                value=load.values[row],
                id=load.ids[row].decode(),
                type=load.types[row].decode(),
                written_at_us=self._clock.now_us(),
                dead=load.dead.get(row),
            )
            if self.kafka.refuse(message):
                raise RecordRefused(f"{topic} refuses {message.id}", code="INVALID_RECORD")
            self.kafka.write(batch, topic, message)

    def _check(self, claim: Claim | None) -> None:
        if claim is not None and claim.owner != self.owner and claim.epoch >= self._epoch:
            raise Superseded(
                f"source {self._source_id} was claimed by {claim.owner} with epoch {claim.epoch}, "
                f"ours is {self._epoch}",
                epoch=claim.epoch,
            )
