"""Kafka producers that are prepared in the background and used for one transaction each.

A long-lived transactional producer is unsafe with librdkafka: a late EndTxn of one transaction
can end the next (librdkafka#5423, measured on Apache Kafka 4.4.0).  A producer used once, whose
id is initialised anew before the next use, is not: the broker refuses the late one (error 47).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, Producer

from wildfire_ingest.clock import SECOND_US, Clock
from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import classify, mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable, DeliveryDenied, DeliveryError
from wildfire_ingest.offset import PublisherName

POOL_SIZE = 2
INIT_TIMEOUT_S = 15.0
IDLE_LIMIT_US = 240 * SECOND_US
"""Brokers and load balancers close idle connections; then the slow 510 ms path would return."""


def transactional_ids(environment: str, source_id: str, publisher: PublisherName) -> list[str]:
    """The pool's ids, fixed and known to every owner: `wf.<env>.<source>.<publisher>.<n>`."""
    return [f"wf.{environment}.{source_id}.{publisher}.{n}" for n in range(POOL_SIZE)]


@dataclass(slots=True)
class Prepared:
    """An initialised producer without a transaction yet."""

    transactional_id: str
    producer: Producer
    prepared_at_us: int


class _Seat(Enum):
    EMPTY = "empty"
    PREPARING = "preparing"
    READY = "ready"
    IN_USE = "in use"


class ProducerPool:
    """One publisher's producers.  `prepare` runs beside `take`; `init_all` runs alone."""

    def __init__(
        self, settings: KafkaSettings, source_id: str, publisher: PublisherName, clock: Clock
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.ids = transactional_ids(settings.environment, source_id, publisher)
        self._seats = dict.fromkeys(self.ids, _Seat.EMPTY)
        self._ready: dict[str, Prepared] = {}
        self._changed = threading.Condition()
        self._generation = 0

    def init_all(self) -> None:
        """Initialise every id: fences zombies, aborts or completes what they left behind."""
        self.drop_all()
        for transactional_id in self.ids:
            self._settle(self._start(transactional_id), self._generation)

    def prepare(self, check: Callable[[], None]) -> bool:
        """Initialise one id that needs it; False when all are ready or in use.

        `check` runs between the initialisation and the first moment at which anyone may take the
        producer; what it raises leaves the id without one.
        """
        with self._changed:
            self._retire_idle()
            empty = [name for name, seat in self._seats.items() if seat is _Seat.EMPTY]
            if not empty:
                return False
            self._seats[empty[0]] = _Seat.PREPARING
            generation = self._generation
        try:
            prepared = self._start(empty[0])
            check()
        except BaseException:
            with self._changed:
                if generation == self._generation:
                    self._seats[empty[0]] = _Seat.EMPTY
            raise
        return self._settle(prepared, generation)

    def take(self, timeout_s: float) -> Prepared | None:
        """A ready producer for one transaction; None when none got ready in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._ready), timeout_s)
            if not self._ready:
                return None
            name = min(self._ready, key=lambda n: self._ready[n].prepared_at_us)
            self._seats[name] = _Seat.IN_USE
            return self._ready.pop(name)

    def retire(self, prepared: Prepared) -> None:
        """The transaction's outcome is known: its id may be initialised anew."""
        with self._changed:
            if self._seats[prepared.transactional_id] is _Seat.IN_USE:
                self._seats[prepared.transactional_id] = _Seat.EMPTY

    def discard(self, transactional_id: str) -> None:
        """Drop one ready producer that may not be used."""
        with self._changed:
            if self._ready.pop(transactional_id, None) is not None:
                self._seats[transactional_id] = _Seat.EMPTY

    def drop_all(self) -> None:
        """Forget every producer, also those that are being prepared."""
        with self._changed:
            self._generation += 1
            self._ready.clear()
            self._seats = dict.fromkeys(self.ids, _Seat.EMPTY)

    def _settle(self, prepared: Prepared, generation: int) -> bool:
        with self._changed:
            if generation != self._generation:
                return False
            self._seats[prepared.transactional_id] = _Seat.READY
            self._ready[prepared.transactional_id] = prepared
            self._changed.notify_all()
            return True

    def _retire_idle(self) -> None:
        limit = self._clock.now_us() - IDLE_LIMIT_US
        for name in [n for n, p in self._ready.items() if p.prepared_at_us < limit]:
            del self._ready[name]
            self._seats[name] = _Seat.EMPTY

    def _start(self, transactional_id: str) -> Prepared:
        return start_producer(self._settings, transactional_id, self._clock)


def start_producer(settings: KafkaSettings, transactional_id: str, clock: Clock) -> Prepared:
    """A producer whose id is initialised.  18-20 ms, not 57 or 510, for two things:
    reconnect.backoff.ms=20 and metadata asked for twice before init_transactions.
    """
    told: list[KafkaError] = []
    producer = Producer(client_config.transactional(settings, transactional_id, told.append))
    doing = f"initialising {transactional_id}"
    try:
        with mapped(doing):
            producer.list_topics(settings.offsets_topic, INIT_TIMEOUT_S)
            producer.list_topics(settings.offsets_topic, INIT_TIMEOUT_S)
            producer.init_transactions(INIT_TIMEOUT_S)
    except BrokerUnavailable as error:
        producer.poll(0.1)  # only now does error_cb say what a time-out really was
        raise _denied(told, doing) or error from None
    return Prepared(transactional_id, producer, clock.now_us())


def _denied(told: list[KafkaError], doing: str) -> DeliveryError | None:
    for error in told:
        ours = classify(error, doing)
        if isinstance(ours, DeliveryDenied):
            return ours
    return None
