"""The one place where the parts meet: from a source's configuration to a source that can run."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from wildfire_ingest.clock import Clock, SystemClock
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import DEFAULT_POLL_S, SourceModel
from wildfire_ingest.delivery import client_config
from wildfire_ingest.delivery.plain_sink import PlainSink
from wildfire_ingest.delivery.sink import KafkaSink
from wildfire_ingest.dispatch.lag import LagReader
from wildfire_ingest.dispatch.topic_resolver import TopicResolver
from wildfire_ingest.engine.crash import CrashPoints
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.events import Observer, Silent
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.ports import Sink, Source
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.engine.settings import GIVE_UP_S, EngineSettings
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.intake.intake import Intake, IntakeSettings
from wildfire_ingest.intake.overflow import OverflowArchive
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.record import Body, Lane
from wildfire_ingest.sources.catalog import CONNECTORS

CRASH_VARIABLE = "WILDFIRE_CRASH"
"""For tests: the named crash point at which this process kills itself."""


@dataclass(frozen=True, slots=True)
class SourceRoutes:
    """The resolver and the lanes, as intake asks for them: for one source."""

    resolver: TopicResolver
    source_id: str
    default_lane: Lane

    def topic(self, body_type: type[Body]) -> str | Callable[[Body], str]:
        return self.resolver.for_source(self.source_id, body_type)

    def lane(self, body_type: type[Body]) -> Lane | Callable[[Body], Lane]:
        return self.resolver.lane_for(self.source_id, body_type, self.default_lane)

    def count(self, body_type: type[Body], records: int) -> None:
        self.resolver.count(self.source_id, body_type, records)

    def resolutions(self) -> Mapping[str, int]:
        return {str(by): n for by, n in self.resolver.counts().resolutions.items()}


def find_source(config: StreamConfig, source_id: str) -> SourceModel:
    """The source of that id.  Raises ConfigError that names those there are."""
    source = config.sources.get(source_id)
    if source is None:
        raise ConfigError(
            f"no source {source_id!r}; configured are {', '.join(sorted(config.sources))}"
        )
    if source.source_type not in CONNECTORS:
        raise ConfigError(f"source type {source.source_type} of {source_id} is not built yet")
    return source


def build_source(config: StreamConfig, source_id: str) -> Source:
    """What to ask and how to read it."""
    model = find_source(config, source_id)
    source: Source = CONNECTORS[model.source_type](build.source_settings(model))
    return source


def engine_settings(
    config: StreamConfig, source: Source, *, continuous: bool = False
) -> EngineSettings:
    """Pace and limits of one source."""
    model = config.sources[source.source_id]
    kafka = build.kafka_settings(config)
    return EngineSettings(
        source_id=source.source_id,
        dlq_topic=kafka.dlq_topic,
        dlq_enabled=kafka.dlq_enabled,
        queue=build.queue_settings(config, source.source_id),
        throttle=build.throttle_settings(config),
        topics=tuple(sorted(build.routing_settings(config).declared)),
        polling_interval_s=model.poll_interval_s or DEFAULT_POLL_S,
        give_up_after_s=None if continuous else GIVE_UP_S,
        max_retries=kafka.max_retries,
        retry_backoff_base=kafka.retry_backoff_base,
        window_s=source.window_s,
        spool_max_bytes=config.spool_max_bytes,
        spool_max_age_s=config.spool_max_age_seconds,
    )


def build_intake(config: StreamConfig, source: Source) -> Intake:
    """Identity, index and packing of one source."""
    source_id = source.source_id
    kafka = build.kafka_settings(config)
    lane = build.lane(config, source_id)
    resolver = TopicResolver(build.routing_settings(config))
    spool = build.spool_settings(config, source_id, window_s=source.window_s)
    settings = IntakeSettings(
        source_id=source_id,
        source_type=source.source_type,
        window_s=source.window_s,
        default_lane=lane,
        default_topic=resolver.resolve(source_id, None).topic,
        dlq_topic=kafka.dlq_topic,
        dlq_enabled=kafka.dlq_enabled,
        max_records_per_load=spool.max_records_per_load,
    )
    return Intake(settings, SourceRoutes(resolver, source_id, lane))


def owner_name() -> str:
    """Unique to a run: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def build_sink(
    config: StreamConfig, source_id: str, clock: Clock, crash: Callable[[str], None]
) -> Sink:
    """The way into Kafka that `kafka.delivery` asks for."""
    settings = build.kafka_settings(config)
    kind = KafkaSink if settings.delivery == "exactly_once" else PlainSink
    return kind(settings, source_id, owner_name(), clock, crash)


@contextmanager
def running_source(
    config: StreamConfig,
    source_id: str,
    *,
    observer: Observer | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    permissions: Permissions | None = None,
    continuous: bool = False,
    replace: Callable[[Parts], Parts] | None = None,
    tune: Callable[[EngineSettings], EngineSettings] | None = None,
) -> Iterator[Engine]:
    """An engine with its spool locked; everything is closed at the end.

    `replace` may put a fake in the place of a part, `tune` changes pace and limits.  Raises
    SpoolBusy when the source is running already, ConfigError for a source that cannot run.
    """
    clock = clock or SystemClock()
    crash = CrashPoints((os.environ if environ is None else environ).get(CRASH_VARIABLE, ""))
    with ExitStack() as stack:
        parts = _parts(config, source_id, observer or Silent(), clock, crash, stack)
        settings = engine_settings(config, parts.source, continuous=continuous)
        settings = tune(settings) if tune else settings
        yield Engine(settings, replace(parts) if replace else parts, permissions)


def _parts(
    config: StreamConfig,
    source_id: str,
    observer: Observer,
    clock: Clock,
    crash: CrashPoints,
    stack: ExitStack,
) -> Parts:
    """The real parts; the spool first, because it may be another process's."""
    source = build_source(config, source_id)
    spool = Spool(build.spool_settings(config, source_id, window_s=source.window_s))
    stack.callback(spool.close)
    crash("recover.after_lock")
    crash("recover.after_open")
    fetcher = ApiClient(build.fetch_settings(config, source_id), clock)
    stack.callback(fetcher.close)
    sink = build_sink(config, source_id, clock, crash)
    stack.callback(sink.close)
    return Parts(
        source=source,
        fetcher=fetcher,
        intake=build_intake(config, source),
        spool=spool,
        sink=sink,
        lag=LagReader(client_config.common(build.kafka_settings(config))),
        archive=OverflowArchive(config.state_dir / "overflow"),
        observer=observer,
        clock=clock,
        crash=crash,
    )
