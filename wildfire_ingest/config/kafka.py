"""The `kafka:` block: one cluster, its security, and what may pass through to librdkafka.

Times in milliseconds or seconds as the key says.  The property tables follow librdkafka's
CONFIGURATION.md (2.x) and the delivery protocol's needs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from wildfire_ingest.config.base import Model, Scalar, refusal
from wildfire_ingest.config.finding import nearest

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
TopicName = Annotated[str, Field(min_length=1, max_length=249)]

OWN_KEYS = {
    "bootstrap.servers": "kafka.bootstrap_servers",
    "metadata.broker.list": "kafka.bootstrap_servers",
    "client.id": "kafka.client_id",
    "compression.type": "kafka.compression_type",
    "compression.codec": "kafka.compression_type",
    "linger.ms": "kafka.linger_ms",
    "queue.buffering.max.ms": "kafka.linger_ms",
    "security.protocol": "kafka.security_protocol",
    "sasl.mechanism": "kafka.sasl_mechanism",
    "sasl.mechanisms": "kafka.sasl_mechanism",
    "sasl.username": "kafka.sasl_username",
    "sasl.password": "kafka.sasl_password",
    "ssl.ca.location": "kafka.ssl_ca_location",
    "ssl.certificate.location": "kafka.ssl_certificate_location",
    "ssl.key.location": "kafka.ssl_key_location",
    "ssl.key.password": "kafka.ssl_key_password",
}
"""librdkafka properties that have a key of their own."""

FORBIDDEN = {
    "acks": "exactly once needs acks=all",
    "request.required.acks": "exactly once needs acks=all",
    "enable.idempotence": "exactly once needs it",
    "enable.gapless.guarantee": "the transaction decides",
    "transactional.id": "it names source and publisher and fences the previous owner",
    "transaction.timeout.ms": "it bounds how long a killed run holds readers back",
    "message.timeout.ms": "it must stay below the transaction's time-out",
    "delivery.timeout.ms": "it must stay below the transaction's time-out",
    "isolation.level": "reconciling reads decide it themselves",
    "max.in.flight": "order and idempotence depend on it",
    "max.in.flight.requests.per.connection": "order and idempotence depend on it",
    "message.send.max.retries": "a lost retry would be a lost record",
    "retries": "a lost retry would be a lost record",
    "partitioner": "the same key must reach the same partition from every client",
    "allow.auto.create.topics": "topics are created by `topics sync` only",
    "socket.timeout.ms": "the transaction's time-out is derived from it",
    "reconnect.backoff.ms": "a slow reconnect would make every transaction slow",
    "topic.metadata.propagation.max.ms": "it tells an unknown topic from an outage",
    "enable.auto.commit": "nothing here commits consumer offsets",
    "enable.auto.offset.store": "nothing here commits consumer offsets",
    "auto.offset.reset": "reconciling reads name their offsets",
    "group.id": "reconciling reads join no group",
    "enable.partition.eof": "reconciling reads depend on it",
    "enable.ssl.certificate.verification": "certificates are always verified",
    "ssl.endpoint.identification.algorithm": "the broker's name is always verified",
    "plugin.library.paths": "it would load code",
    "ssl.providers": "it would load code",
    "ssl.engine.location": "it would load code",
    "test.mock.num.brokers": "it would send to a cluster that does not exist",
}
"""librdkafka properties on which a promise depends, with the reason."""

FORBIDDEN_PREFIXES = ("sasl.", "ssl.", "enable.sasl.", "test.")

TUNABLE = frozenset(
    {
        "api.version.request.timeout.ms",
        "batch.num.messages",
        "batch.size",
        "broker.address.family",
        "broker.address.ttl",
        "client.dns.lookup",
        "client.rack",
        "compression.level",
        "connections.max.idle.ms",
        "debug",
        "enable.metrics.push",
        "log.connection.close",
        "log_level",
        "message.copy.max.bytes",
        "message.max.bytes",
        "metadata.max.age.ms",
        "metadata.recovery.strategy",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "receive.message.max.bytes",
        "reconnect.backoff.max.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "socket.connection.setup.timeout.ms",
        "socket.keepalive.enable",
        "socket.max.fails",
        "socket.nagle.disable",
        "socket.receive.buffer.bytes",
        "socket.send.buffer.bytes",
        "statistics.interval.ms",
        "sticky.partitioning.linger.ms",
        "topic.metadata.refresh.fast.interval.ms",
        "topic.metadata.refresh.interval.ms",
        "topic.metadata.refresh.sparse",
    }
)
"""librdkafka properties that may be passed through."""


def client_key_fault(key: str) -> tuple[str, str | None] | None:
    """Why a client_config key is refused: the expected thing and the nearest key."""
    if key in OWN_KEYS:
        return f"its own key {OWN_KEYS[key]}", None
    if key in FORBIDDEN:
        return f"no {key} here: {FORBIDDEN[key]}", None
    if key.startswith(FORBIDDEN_PREFIXES):
        return "security settings under their own keys (kafka.sasl_*, kafka.ssl_*)", None
    if key not in TUNABLE:
        return "a librdkafka setting that may be passed through", nearest(key, TUNABLE)
    return None


class KafkaModel(Model):
    """The cluster that records go to, and how they are sent."""

    bootstrap_servers: str = "localhost:9092"
    """Brokers, `host:port`, comma separated. WILDFIRE_KAFKA_BOOTSTRAP_SERVERS overrides it."""
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "wildfire-ingest"
    """How the brokers' logs and quotas name us."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """`at_least_once` for clusters without transactions; duplicates keep the same id."""
    envelope: Literal["bare", "plain", "cloudevents"] = "bare"
    """`bare`: flat JSON, no headers; `plain`: with `id` and `type`; or the CloudEvents binding."""
    compression_type: Compression = "gzip"
    """Compression of what is sent; zstd costs less CPU and is smaller."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Records that NORMAL and LOW lanes gather before a transaction."""
    linger_ms: Annotated[int, Field(ge=0, le=10_000)] = 100
    """How long librdkafka fills a message set, ms."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Attempts after the first for a record that the broker refuses."""
    retry_backoff_base: Annotated[float, Field(ge=1.0, le=10.0)] = 2.0
    """Waits of those attempts: base^0, base^1, base^2 … s."""
    dlq_topic: TopicName = "wildfire-dlq-failed-messages"
    """Dead letter topic."""
    offsets_topic: TopicName = "wildfire-ingest-offsets"
    """Compacted topic of the offset records."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How brokers are spoken to; anything but loopback should be SASL_SSL or SSL."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """SASL mechanism, with SASL_PLAINTEXT or SASL_SSL."""
    sasl_username: str | None = None
    """SASL user; `${ENV:NAME}` is allowed."""
    sasl_password: SecretStr | None = None
    """SASL password; only as `${ENV:NAME}`."""
    ssl_ca_location: str | None = None
    """File with the certificate authorities; `${ENV:NAME}` is allowed."""
    ssl_certificate_location: str | None = None
    """File with the client's certificate; `${ENV:NAME}` is allowed."""
    ssl_key_location: str | None = None
    """File with the client's private key; `${ENV:NAME}` is allowed."""
    ssl_key_password: SecretStr | None = None
    """Password of that key; only as `${ENV:NAME}`."""
    client_config: dict[str, Scalar] = Field(default_factory=dict)
    """Further librdkafka settings, except those that a promise depends on."""

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        for server in servers:
            host, _, port = server.rpartition(":")
            is_port = port.isdecimal() and 0 < int(port[:6]) <= 65_535  # noqa: PLR2004 - TCP
            if not is_port or not host or set(host) & set(" /@?#\\\t"):
                raise refusal("host:port, comma separated, e.g. broker1:9092,broker2:9092")
        return ",".join(servers)
