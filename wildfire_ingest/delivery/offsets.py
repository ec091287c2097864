"""Reads a source's partition of the offsets topic: all that decides what was delivered.

`peek` reads uncommitted, for another owner's claim on its way.  `read` reads committed up to an
end that was taken read uncommitted, and never decides earlier: another source's open transaction
hides later commits until the last stable offset has passed it (KIP-98).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.settings import KafkaSettings
from wildfire_ingest.errors import BrokerUnavailable
from wildfire_ingest.offset import Claim, OffsetRecord, OffsetsView, Stored, partition_of
from wildfire_ingest.record import Lane

_POLL_S = 0.2
_QUERY_S = 10.0
_MOVES = 10
_MOVING = frozenset({"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE"})


def offset_key(source_id: str, lane: Lane) -> bytes:
    """Key of a lane's offset record."""
    return f"{source_id}|{lane.name}".encode()


def claim_key(source_id: str) -> bytes:
    """Key of the source's claim."""
    return source_id.encode()


class OffsetsPartition:
    """One source's place in the offsets topic."""

    def __init__(self, settings: KafkaSettings, source_id: str) -> None:
        self._settings = settings
        self._source_id = source_id
        self._topic = settings.offsets_topic
        self.partition = partition_of(source_id)
        self._lock = threading.Lock()
        self._peeker: Consumer | None = None
        self._peeked = 0
        self._claim: Claim | None = None

    def end(self) -> int:
        """The partition's end, open transactions included."""
        with self._lock:
            return self._end()

    def peek(self) -> Claim | None:
        """The newest claim in the partition, committed or not, aborted or not."""
        with self._lock:
            end = self._end()
            if end > self._peeked:
                for message in self._read(self._consumer(), self._peeked, end, None):
                    found = self._claim_of(message)
                    if found and (self._claim is None or found.epoch >= self._claim.epoch):
                        self._claim = found
                self._peeked = end
            return self._claim

    def read(self, start: int, stop: threading.Event | None = None) -> OffsetsView:
        """T4: the end now, then everything committed from `start` up to it.

        Waits as long as it takes (another source's open transaction: up to its time-out and the
        broker's sweep); raises BrokerUnavailable when `stop` is set or the broker goes away.
        """
        end = self.end()
        lanes: dict[Lane, Stored] = {}
        claim: Claim | None = None
        consumer = Consumer(client_config.reader(self._settings, committed=True))
        try:
            for message in self._read(consumer, min(start, end), end, stop):
                claim = self._claim_of(message) or claim
                found = self._offset_of(message)
                if found is not None:
                    lanes[found[0]] = found[1]
        finally:
            consumer.close()
        with self._lock:  # all before `end` is decided: peek needs to look only behind it
            if end > self._peeked:
                self._peeked, self._claim = end, claim or self._claim
        return OffsetsView(lanes, claim, end)

    def committed_claim(self, stop: threading.Event) -> Claim | None:
        """The newest claim that is committed; one that `peek` met and that was aborted is gone."""
        claim = self.read(0, stop).claim
        with self._lock:
            self._claim = claim
        return claim

    def close(self) -> None:
        with self._lock:
            if self._peeker is not None:
                self._peeker.close()
                self._peeker = None

    def _consumer(self) -> Consumer:
        if self._peeker is None:
            self._peeker = Consumer(client_config.reader(self._settings, committed=False))
        return self._peeker

    def _end(self) -> int:
        for attempt in range(_MOVES):
            try:
                return self._asked_end()
            except BrokerUnavailable as error:
                # The partition is new or has just moved: its leader takes over within moments.
                if error.code not in _MOVING or attempt == _MOVES - 1:
                    raise
                self._consumer().poll(_POLL_S)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _asked_end(self) -> int:
        place = TopicPartition(self._topic, self.partition)
        with mapped(f"asking for the end of {self._topic}[{self.partition}]"):
            answer = self._consumer().get_watermark_offsets(place, timeout=_QUERY_S, cached=False)
        if answer is None:
            raise BrokerUnavailable(f"no end of {self._topic}[{self.partition}] within 10 s")
        return int(answer[1])

    def _read(
        self, consumer: Consumer, start: int, end: int, stop: threading.Event | None
    ) -> Iterator[Message]:
        """Messages from `start` until the reader's position has passed `end`."""
        if start >= end:
            return
        doing = f"reading {self._topic}[{self.partition}] from {start} to {end}"
        with mapped(doing):
            consumer.assign([TopicPartition(self._topic, self.partition, start)])
            try:
                while stop is None or not stop.is_set():
                    message = consumer.poll(_POLL_S)
                    if message is None:
                        continue
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
                        if (message.offset() or 0) >= end:
                            return
                    else:
                        raise KafkaException(error)
                raise BrokerUnavailable(f"{doing}: stopped before the last stable offset was there")
            finally:
                consumer.unassign()

    def _claim_of(self, message: Message) -> Claim | None:
        value = message.value()
        if message.key() != claim_key(self._source_id) or not isinstance(value, bytes):
            return None
        return msgspec.json.decode(value, type=Claim)

    def _offset_of(self, message: Message) -> tuple[Lane, Stored] | None:
        key, value = message.key(), message.value()
        prefix = claim_key(self._source_id) + b"|"
        if not isinstance(key, bytes) or not key.startswith(prefix) or not isinstance(value, bytes):
            return None
        record = msgspec.json.decode(value, type=OffsetRecord)
        return Lane[key[len(prefix) :].decode()], Stored(record, message.offset() or 0)
