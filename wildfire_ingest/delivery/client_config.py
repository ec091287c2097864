"""librdkafka's properties for each kind of client: the settings that the promise rests on.

Sources: librdkafka CONFIGURATION.md.  Milliseconds throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from wildfire_ingest.delivery.kafka_log import LOG
from wildfire_ingest.delivery.settings import KafkaSettings

TRANSACTION_TIMEOUT_MS = 20_000
"""A killed run blocks read_committed readers so long at most, and the broker's sweep of 10 s."""
MESSAGE_TIMEOUT_MS = 15_000
"""Below the transaction's, so that a record fails before its transaction does."""

# Any: librdkafka's properties are strings, numbers, callbacks and a logger in one mapping.
Config = dict[str, Any]


def common(settings: KafkaSettings) -> Config:
    """What every client shares: where, who, how safely."""
    return {
        **dict(settings.client_config),
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": settings.client_id,
        "socket.timeout.ms": 10_000,
        "reconnect.backoff.ms": 20,
        "allow.auto.create.topics": False,
        "logger": LOG,
        **dict(settings.security),
        **{name: secret.reveal() for name, secret in settings.secrets.items()},
    }


def producer(settings: KafkaSettings) -> Config:
    """An idempotent producer."""
    return {
        **common(settings),
        "acks": "all",
        "enable.idempotence": True,
        "message.timeout.ms": MESSAGE_TIMEOUT_MS,
        "compression.type": settings.compression,
        "linger.ms": settings.linger_ms,
        "partitioner": "murmur2_random",
        # An unknown topic shows after this long instead of looking like an outage.
        "topic.metadata.propagation.max.ms": 500,
    }


def transactional(
    settings: KafkaSettings, transactional_id: str, on_error: Callable[[KafkaError], None]
) -> Config:
    """A producer for one transaction."""
    return {
        **producer(settings),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "error_cb": on_error,
    }


def reader(settings: KafkaSettings, *, committed: bool) -> Config:
    """A consumer that is assigned partitions by hand and commits nothing."""
    return {
        **common(settings),
        "group.id": "wildfire-ingest-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,
        # The embedded broker answers a fetch with its whole log.
        "receive.message.max.bytes": 1_000_000_000,
    }
