"""What delivery needs to know of Kafka; built by config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wildfire_ingest.exchange import Secret

Delivery = Literal["exactly_once", "at_least_once"]
Envelope = Literal["plain", "bare", "cloudevents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """One cluster, as librdkafka properties and our own choices."""

    bootstrap_servers: str = "localhost:9092"
    client_id: str = "wildfire-ingest"
    delivery: Delivery = "exactly_once"
    envelope: Envelope = "bare"
    compression: str = "gzip"
    linger_ms: int = 100
    dlq_topic: str = "wildfire-dlq-failed-messages"
    dlq_enabled: bool = True
    offsets_topic: str = "wildfire-ingest-offsets"
    environment: str = "development"
    """The `<env>` of the transactional ids `wf.<env>.<source>.<publisher>.<n>`."""
    max_retries: int = 3
    retry_backoff_base: float = 2.0
    """Waits of a record-level error: base^0, base^1 … seconds."""
    security: Mapping[str, str] = field(default_factory=dict)
    """librdkafka's security.protocol, sasl.* and ssl.* that are no secret."""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """sasl.password, ssl.key.password."""
    client_config: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """A declared topic."""

    name: str
    partitions: int = 4
    replication_factor: int = 1
    retention_ms: int = 604_800_000
    compression_type: str = "gzip"
    min_insync_replicas: int | None = None
    cleanup_policy: str = "delete"
    config: Mapping[str, str] = field(default_factory=dict)
    """Any further topic property."""
