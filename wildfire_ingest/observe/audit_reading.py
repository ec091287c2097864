"""Gathers what an audit compares: spools, offset records, and every committed record once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, Message, TopicPartition

from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config, dead_letters
from wildfire_ingest.delivery.kafka_errors import mapped
from wildfire_ingest.delivery.offsets import OffsetsPartition
from wildfire_ingest.delivery.settings import KafkaSettings, TopicSettings
from wildfire_ingest.observe.audit import FOR_EVER, Evidence, Held
from wildfire_ingest.observe.committed import QUERY_S, Place, Span, committed, header, spans
from wildfire_ingest.observe.spool_view import SpoolView, owner_of, view
from wildfire_ingest.offset import OffsetsView

_ID = re.compile(rb'\{"id":"([0-9a-f]{32})".*?"revision":(\d+)')
_SOURCE = re.compile(rb'"source_id":"([^"\\]*)"')
_HEAD_BYTES = 512
"""The envelope stands before the body's fields."""


def gather(config: StreamConfig, source_ids: Sequence[str]) -> list[Evidence]:
    """The evidence for each source.  Raises DeliveryError where the cluster cannot say."""
    settings = build.kafka_settings(config)
    declared = build.topic_settings(config)
    running = {one: owner_of(config.state_dir, one) is not None for one in source_ids}
    before = _spools(config, source_ids)
    offsets = {one: _offsets(settings, one) for one in source_ids}
    topics = dict.fromkeys([*(topic.name for topic in declared), settings.dlq_topic])
    whole = spans(settings, list(topics))
    held = holdings(committed(settings, whole), source_ids, settings.dlq_topic)
    horizons = _horizons(settings, declared, whole)
    after = _spools(config, source_ids)
    return [
        Evidence(
            source_id=one,
            before=before[one],
            after=after[one],
            offsets=offsets[one],
            held=held[one],
            horizons=horizons,
            dlq_topic=settings.dlq_topic,
            is_exactly_once=settings.delivery == "exactly_once",
            is_running=running[one] or owner_of(config.state_dir, one) is not None,
        )
        for one in source_ids
    ]


def holdings(
    messages: Iterable[Message], source_ids: Sequence[str], dlq_topic: str
) -> Mapping[str, Held]:
    """What each source has in the topics, by id and revision."""
    held = {source_id: Held() for source_id in source_ids}
    for message in messages:
        is_dead = message.topic() == dlq_topic
        mine = held.get(source_of(message, is_dead=is_dead))
        if mine is not None:
            record_id = header(message, "id", "ce_id").encode() or _id_of(message)
            mine.ids[record_id] = mine.ids.get(record_id, 0) + 1
            mine.dead += is_dead
    return held


def _id_of(message: Message) -> bytes:
    """Out of the value: a bare record has no headers."""
    found = _ID.search((message.value() or b"")[:_HEAD_BYTES])
    return b"%b.%b" % found.groups() if found else b""


def source_of(message: Message, *, is_dead: bool) -> str:
    """Which source a record is of; empty where it does not say so."""
    if is_dead:
        return header(message, dead_letters.CONNECTOR)
    found = _SOURCE.search((message.value() or b"")[:_HEAD_BYTES])
    return found[1].decode("utf-8", "replace") if found else ""


def _spools(config: StreamConfig, source_ids: Sequence[str]) -> dict[str, SpoolView | None]:
    return {one: view(config.state_dir, one, with_loads=True) for one in source_ids}


def _offsets(settings: KafkaSettings, source_id: str) -> OffsetsView:
    partition = OffsetsPartition(settings, source_id)
    try:
        return partition.read(0)
    finally:
        partition.close()


def _horizons(
    settings: KafkaSettings, declared: Sequence[TopicSettings], whole: Mapping[Place, Span]
) -> dict[str, int]:
    """By topic: the time before which it may have dropped records, us."""
    horizons = {one.name: FOR_EVER for one in declared if "compact" in one.cleanup_policy}
    for place, span in whole.items():
        if span.low > 0 and horizons.get(place[0]) != FOR_EVER:
            horizons[place[0]] = max(horizons.get(place[0], 0), _oldest_us(settings, place, span))
    return horizons


def _oldest_us(settings: KafkaSettings, place: Place, span: Span) -> int:
    """When the oldest record that is still there was written."""
    consumer = Consumer(client_config.reader(settings, committed=False))
    try:
        with mapped(f"reading the oldest record of {place[0]}[{place[1]}]"):
            if span.low >= span.end:
                return FOR_EVER
            consumer.assign([TopicPartition(*place, span.low)])
            message = consumer.poll(QUERY_S)
            if message is None or message.error() is not None:
                return FOR_EVER
            return int(message.timestamp()[1]) * 1000
    finally:
        consumer.close()
