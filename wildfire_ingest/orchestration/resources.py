"""What an asset asks Dagster for: the API, Kafka and the throttle, over the shared code.

A field has the configuration's value and may be given another in code.  Secrets are no fields, so
Dagster never stores one: they stay in the configuration, which every run process loads for
itself.  A test puts a subclass in a resource's place.
"""

from __future__ import annotations

import os
from typing import Any

import dagster as dg
from pydantic import Field

from wildfire_ingest import assembly
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config import build, loader
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import client_config
from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.engine.crash import CrashPoints
from wildfire_ingest.engine.ports import Fetcher, Lag, Sink
from wildfire_ingest.fetch.client import ApiClient


def _configured(config: StreamConfig | None) -> StreamConfig:
    """The configuration of this process, where the caller has none at hand."""
    return loader.load().config if config is None else config


class ApiClientResource(dg.ConfigurableResource[Any]):
    """The way to the sources' APIs: limits, retries, cache and circuit, shared by processes."""

    max_consecutive_failures: int = Field(
        default=10, ge=1, description="Failed requests in a row that open a source's circuit."
    )
    circuit_breaker_timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long an open circuit asks nothing, s."
    )

    @classmethod
    def of(cls, config: StreamConfig) -> ApiClientResource:
        """With the configuration's values."""
        limits = config.reliability
        return cls(
            max_consecutive_failures=limits.max_consecutive_failures,
            circuit_breaker_timeout_seconds=limits.circuit_breaker_timeout_seconds,
        )

    def applied(self, config: StreamConfig) -> StreamConfig:
        """The configuration with this resource's fields in it."""
        fields = {
            "max_consecutive_failures": self.max_consecutive_failures,
            "circuit_breaker_timeout_seconds": self.circuit_breaker_timeout_seconds,
        }
        return config.model_copy(
            update={"reliability": config.reliability.model_copy(update=fields)}
        )

    def client(self, source_id: str, config: StreamConfig | None = None) -> Fetcher:
        """One source's client; whoever asks for it closes it."""
        config = self.applied(_configured(config))
        return ApiClient(build.fetch_settings(config, source_id), SystemClock())


class KafkaProducerResource(dg.ConfigurableResource[Any]):
    """The way into Kafka, as `kafka.delivery` promises it."""

    bootstrap_servers: str = Field(
        default="localhost:9092", description="The cluster, host:port, comma separated."
    )
    delivery: str = Field(default="exactly_once", description="exactly_once or at_least_once.")
    compression_type: str = Field(default="gzip", description="none, gzip, snappy, lz4 or zstd.")

    @classmethod
    def of(cls, config: StreamConfig) -> KafkaProducerResource:
        """With the configuration's values; its secrets stay there."""
        kafka = config.kafka
        return cls(
            bootstrap_servers=kafka.bootstrap_servers,
            delivery=kafka.delivery,
            compression_type=kafka.compression_type,
        )

    def applied(self, config: StreamConfig) -> StreamConfig:
        """The configuration with this resource's fields in it."""
        fields = {
            "bootstrap_servers": self.bootstrap_servers,
            "delivery": self.delivery,
            "compression_type": self.compression_type,
        }
        return config.model_copy(update={"kafka": config.kafka.model_copy(update=fields)})

    def sink(self, source_id: str, config: StreamConfig | None = None) -> Sink:
        """One source's sink; whoever asks for it closes it."""
        config = self.applied(_configured(config))
        crash = CrashPoints(os.environ.get(assembly.CRASH_VARIABLE, ""))
        return assembly.build_sink(config, source_id, SystemClock(), crash)


class ThrottlerResource(dg.ConfigurableResource[Any]):
    """How consumer lag slows a source down."""

    enabled: bool = Field(default=True, description="Whether lag and rates are minded at all.")
    min_send_rate: float = Field(default=1.0, ge=0, description="Least records a second.")
    max_send_rate: float = Field(
        default=0.0, ge=0, description="Most records a second; 0 = unlimited."
    )
    target_consumer_lag: int = Field(default=1000, ge=0, description="Lag up to which all is sent.")
    critical_consumer_lag: int = Field(
        default=5000, ge=1, description="Lag from which pauses grow, records."
    )

    @classmethod
    def of(cls, config: StreamConfig) -> ThrottlerResource:
        """With the configuration's values."""
        return cls(**{name: getattr(config.throttling, name) for name in cls.model_fields})

    def applied(self, config: StreamConfig) -> StreamConfig:
        """The configuration with this resource's fields in it."""
        fields = {name: getattr(self, name) for name in ThrottlerResource.model_fields}
        return config.model_copy(update={"throttling": config.throttling.model_copy(update=fields)})

    def lag(self, config: StreamConfig | None = None) -> Lag:
        """Reads the lag of the configured consumer groups."""
        return LagReader(client_config.common(build.kafka_settings(_configured(config))))


Resources = tuple[ApiClientResource, KafkaProducerResource, ThrottlerResource]
"""What a source runs on, in this order."""
