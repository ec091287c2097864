"""Follows topics while they grow: committed records as they arrive, through any outage.

Partitions are assigned by hand: no group is joined and nothing is stored at the broker.  It begins
at the last stable offset, so that what is committed from then on is seen, also out of a
transaction that was open already.  Seconds; offsets of Kafka.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import MISSING, classify, mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable, DeliveryDenied, DeliveryError

ASK_S = 2.0
_LOOK_EVERY_S = 10.0
"""For topics and partitions that are new."""
_LOOK_AGAIN_S = 1.0
"""While the broker is away, or there is nothing to read yet."""
_POLL_S = 0.1
_TAKE = 500
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's public name
_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the same


class Tail:
    """One reader of some topics; for one thread."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        remark: Callable[[str], None],
        *,
        since_ms: int | None = None,
    ) -> None:
        """`since_ms`: begin with what was written since then; 0 = everything, None = at the end."""
        self._topics = tuple(topics)
        self._named = ", ".join(topics)
        self._remark = remark
        self._since_ms = since_ms
        self._places: set[tuple[str, int]] = set()
        self._has_begun = False
        self._is_away = False
        self._denied: DeliveryError | None = None
        self._look_at_s = 0.0
        self._consumer = Consumer(
            {**client_config.reader(settings, committed=True), "error_cb": self._on_error}
        )

    def records(self, stop: threading.Event) -> Generator[Message]:
        """Records until `stop` is set.  Raises DeliveryDenied where waiting does not help."""
        with closing(self._consumer):
            while not stop.is_set():
                if time.monotonic() >= self._look_at_s:
                    self._look()
                first = self._consumer.poll(_POLL_S)
                if self._denied is not None:
                    raise self._denied
                if first is None:
                    continue
                # What came with it is there already; consume() alone would wait for more.
                for message in (first, *self._consumer.consume(_TAKE, timeout=0)):
                    if self._is_record(message):
                        yield message

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            self._is_away = False
            return True
        if error.code() != _EOF:
            self._on_error(error, (message.topic() or "", message.partition() or 0))
        return False

    def _on_error(self, error: KafkaError, place: tuple[str, int] | None = None) -> None:
        """Also librdkafka's callback, which runs inside poll()."""
        found = classify(error, f"reading {self._named}")
        if error.name() in MISSING:
            self._forget(place)
        elif isinstance(found, DeliveryDenied):
            self._denied = found
        elif error.code() == _ALL_DOWN:
            self._say_away(found)

    def _forget(self, place: tuple[str, int] | None) -> None:
        """A topic was deleted; when it is there again, it is read from its beginning."""
        if place in self._places:
            self._places.discard(place)
            self._consumer.incremental_unassign([TopicPartition(*place)])
            self._remark(f"{place[0]}[{place[1]}] is gone: waiting for it")

    def _say_away(self, error: DeliveryError) -> None:
        if not self._is_away:
            self._is_away = True
            self._remark(f"waiting for the broker: {error}")
        self._look_at_s = min(self._look_at_s, time.monotonic() + _LOOK_AGAIN_S)

    def _look(self) -> None:
        """Take up the partitions that are new."""
        try:
            with mapped(f"reading {self._named}"):
                self._take_up(self._new_places())
        except DeliveryDenied:
            raise
        except DeliveryError as error:
            self._look_at_s = time.monotonic() + _LOOK_AGAIN_S
            self._say_away(error)
        else:
            self._is_away = False
            wait_s = _LOOK_EVERY_S if self._places else _LOOK_AGAIN_S
            self._look_at_s = time.monotonic() + wait_s

    def _new_places(self) -> list[TopicPartition]:
        # All topics: asking for one by name could create it.
        known = self._consumer.list_topics(timeout=ASK_S).topics
        return [
            TopicPartition(topic, number)
            for topic in self._topics
            if topic in known
            for number in known[topic].partitions
            if (topic, number) not in self._places
        ]

    def _take_up(self, new: list[TopicPartition]) -> None:
        begin = [TopicPartition(one.topic, one.partition, self._begin_at(one)) for one in new]
        if begin:
            self._consumer.incremental_assign(begin)
            self._places.update((one.topic, one.partition) for one in begin)
        if not self._has_begun:
            self._has_begun = True
            what = f"reading {self._named}" if begin else f"{self._named}: not there yet, waiting"
            self._remark(f"{what}; Ctrl-C ends")

    def _begin_at(self, place: TopicPartition) -> int:
        """Where to read a partition from; one that came later is new as a whole."""
        if self._has_begun or self._since_ms == 0:
            return OFFSET_BEGINNING
        if self._since_ms is not None:
            place.offset = self._since_ms
            (found,) = self._consumer.offsets_for_times([place], timeout=ASK_S)
            if found.offset != OFFSET_END:
                return int(found.offset)
        return self._end(place)

    def _end(self, place: TopicPartition) -> int:
        """The last stable offset, since this is a read_committed consumer."""
        answer = self._consumer.get_watermark_offsets(place, timeout=ASK_S, cached=False)
        if answer is None:
            raise BrokerUnavailable(f"no end of {place.topic}[{place.partition}] in {ASK_S:g} s")
        return int(answer[1])
