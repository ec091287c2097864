"""From the configuration to the plain settings of each stage: the only place that maps them.

Seconds and bytes as the names say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from wildfire_ingest.config.connectors import NoaaAlertsParams, NoaaWeatherParams
from wildfire_ingest.config.firms import (
    QUOTA_INTERVAL_S,
    QUOTA_UNITS,
    FirmsParams,
)
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.rules import declared_topics
from wildfire_ingest.config.source import DEFAULT_SCHEDULE_S, SourceModel
from wildfire_ingest.config.topics import DEFAULT_TOPIC, TopicModel
from wildfire_ingest.delivery.settings import KafkaSettings, TopicSettings
from wildfire_ingest.dispatch.settings import (
    ContentRule,
    PatternRule,
    QueueSettings,
    RoutingSettings,
    ThrottleSettings,
)
from wildfire_ingest.exchange import Secret
from wildfire_ingest.fetch.settings import USER_AGENT, ApiQuota, FetchSettings
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.record import Lane
from wildfire_ingest.sources.settings import (
    FirmsSettings,
    NwsAlertsSettings,
    NwsObservationsSettings,
)

DAY_S = 86_400
MAX_RECORDS_PER_LOAD = 5_000
DEFAULT_BUFFER_RECORDS = 100
DEFAULT_BUFFER_S = 5.0
LONGEST_ROTATION = 60
"""Requests of one poll at most: a poll is one unit of work, spooled at its end."""
PART_FOR_POLLS = 0.8
"""Of the request rate; the rest is for retries."""
LOOK_TTL_S = 300.0
"""So long a run may take to start and still take over what the sensor's look was answered."""
FIRE_ALERTS = ContentRule(
    field="event",
    matches=r"^((red flag warning|fire weather watch|extreme fire danger|fire warning)$"
    r"|evacuation)",
    lane=Lane.CRITICAL,
)
"""Weather alerts that cannot wait, whatever the priority of their source.  It stands after the
rules of the file, which therefore win; other records have no `event`."""
SourceSettings = FirmsSettings | NwsObservationsSettings | NwsAlertsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSettings:
    """How long NORMAL and LOW records gather before a transaction: whichever comes first."""

    records: int
    seconds: float


def kafka_settings(config: StreamConfig) -> KafkaSettings:
    """What delivery needs to know of the cluster."""
    kafka = config.kafka
    security = {
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "ssl.ca.location": kafka.ssl_ca_location,
        "ssl.certificate.location": kafka.ssl_certificate_location,
        "ssl.key.location": kafka.ssl_key_location,
    }
    secrets = {"sasl.password": kafka.sasl_password, "ssl.key.password": kafka.ssl_key_password}
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=kafka.client_id,
        delivery=kafka.delivery,
        envelope=kafka.envelope,
        compression=kafka.compression_type if config.performance.enable_compression else "none",
        linger_ms=kafka.linger_ms,
        dlq_topic=kafka.dlq_topic,
        dlq_enabled=config.enable_dlq,
        offsets_topic=kafka.offsets_topic,
        environment=config.environment_name,
        max_retries=kafka.max_retries,
        retry_backoff_base=kafka.retry_backoff_base,
        security={name: value for name, value in security.items() if value is not None},
        secrets={name: _secret(value) for name, value in secrets.items() if value is not None},
        client_config=dict(kafka.client_config),
    )


def topic_settings(config: StreamConfig) -> tuple[TopicSettings, ...]:
    """The declared topics and the default topic; dead letters and offsets are delivery's own."""
    declared = {DEFAULT_TOPIC: TopicModel(), **config.topics}
    return tuple(_topic(name, topic) for name, topic in declared.items())


def _topic(name: str, topic: TopicModel) -> TopicSettings:
    compression = topic.compression_type
    return TopicSettings(
        name=name,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        retention_ms=topic.retention_ms,
        compression_type="uncompressed" if compression == "none" else compression,
        min_insync_replicas=topic.min_insync_replicas,
        cleanup_policy=topic.cleanup_policy,
        config={key: _property(value) for key, value in topic.config.items()},
    )


def _property(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def queue_settings(config: StreamConfig, source_id: str) -> QueueSettings:
    """The in-memory queue, how long it gathers and what an overflow may drop."""
    gather = gather_settings(config, source_id)
    return QueueSettings(
        batch_records=gather.records,
        batch_timeout_s=gather.seconds,
        max_records=config.queue_max_size,
        overflow=config.queue_overflow_strategy,
        allow_drop_critical=config.allow_drop_critical,
    )


def throttle_settings(config: StreamConfig) -> ThrottleSettings:
    """How lag slows a source down."""
    limits = config.throttling
    return ThrottleSettings(
        enabled=limits.enabled,
        min_send_rate=limits.min_send_rate,
        max_send_rate=limits.max_send_rate,
        target_lag=limits.target_consumer_lag,
        critical_lag=limits.critical_consumer_lag,
        batch_size=config.kafka.batch_size,
        consumer_groups=dict(limits.consumer_groups),
    )


def routing_settings(config: StreamConfig) -> RoutingSettings:
    """Which record goes where; default rules only towards declared topics."""
    declared = declared_topics(config)
    rules = config.topic_rules
    return RoutingSettings(
        mapping={
            source_id: topic
            for source_id, topic in config.custom_topic_mappings.items()
            if topic in declared
        },
        content=(*_content_rules(config, declared), FIRE_ALERTS),
        patterns=tuple(
            PatternRule(pattern=rule.pattern, topic=rule.topic)
            for rule in rules.patterns
            if rule.topic in declared
        ),
        source_topics={
            source_id: source.topic
            for source_id, source in config.sources.items()
            if source.topic is not None
        },
        default=DEFAULT_TOPIC,
        declared=declared,
    )


def _content_rules(config: StreamConfig, declared: frozenset[str]) -> Iterator[ContentRule]:
    for rule in config.topic_rules.content:
        if rule.topic is None or rule.topic in declared:
            yield ContentRule(
                field=rule.field,
                equals=rule.equals,
                matches=rule.matches,
                exists=rule.exists,
                topic=rule.topic,
                lane=Lane[rule.priority.upper()] if rule.priority else None,
            )


def lane(config: StreamConfig, source_id: str) -> Lane:
    """Lane of a source's records where no content rule says otherwise."""
    source = config.sources[source_id]
    if source.priority is None and source_id in config.priority_sources:
        return Lane.CRITICAL
    return Lane[(source.priority or source.connector.priority).upper()]


def fetch_settings(config: StreamConfig, source_id: str) -> FetchSettings:
    """What the API client of one source needs to know."""
    source = config.sources[source_id]
    return FetchSettings(
        source_id=source_id,
        base_url=source.server,
        state_dir=config.state_dir,
        rate_limit_per_minute=source.rate_limit_per_minute,
        user_agent=_contact(source),
        quota=_quota(source),
        deadline_s=source.timeout_seconds,
        cache_ttl_s=source.cache_ttl_seconds if config.performance.enable_caching else 0.0,
        look_ttl_s=LOOK_TTL_S if source.ingestion.mode == "real_time" else 0.0,
        allow_insecure_http=source.allow_insecure_http,
        max_consecutive_failures=config.reliability.max_consecutive_failures,
        circuit_open_s=config.reliability.circuit_breaker_timeout_seconds,
    )


def _contact(source: SourceModel) -> str:
    """NWS wants to know whom to call; the others take what they get."""
    return getattr(source.custom_params, "user_agent", None) or USER_AGENT


def _quota(source: SourceModel) -> ApiQuota | None:
    params = source.custom_params
    if not isinstance(params, FirmsParams) or params.feed == "static" or params.map_key is None:
        return None
    digest = hashlib.sha256(params.map_key.get_secret_value().encode()).hexdigest()[:12]
    return ApiQuota(name=f"firms-{digest}", units=QUOTA_UNITS, interval_s=QUOTA_INTERVAL_S)


def spool_settings(config: StreamConfig, source_id: str, *, window_s: int) -> SpoolSettings:
    """What the spool of one source needs to know; `window_s` is its connector's."""
    source = config.sources[source_id]
    return SpoolSettings(
        directory=config.state_dir,
        source_id=source_id,
        window_s=window_s,
        retain_s=config.spool_retain_seconds,
        max_bytes=config.spool_max_bytes,
        max_age_s=config.spool_max_age_seconds,
        min_free_disk_bytes=config.min_free_disk_bytes,
        max_records_per_load=source.ingestion.max_records_per_poll or MAX_RECORDS_PER_LOAD,
    )


def gather_settings(config: StreamConfig, source_id: str) -> GatherSettings:
    """How long NORMAL and LOW records of one source gather."""
    ingestion = config.sources[source_id].ingestion
    if ingestion.mode == "continuous_streaming":
        records = ingestion.buffer_size or DEFAULT_BUFFER_RECORDS
        seconds = ingestion.buffer_flush_interval_seconds or DEFAULT_BUFFER_S
    else:
        records = ingestion.batch_size or config.kafka.batch_size
        seconds = ingestion.batch_timeout_seconds or config.performance.batch_timeout_seconds
    if not config.performance.enable_batching:
        return GatherSettings(records=1, seconds=0.0)
    return GatherSettings(records=records, seconds=seconds)


def source_settings(source: SourceModel) -> SourceSettings:
    """What the source's connector needs to know.  Raises TypeError where there is none yet."""
    params = source.custom_params
    if isinstance(params, NoaaWeatherParams):
        return _observations_settings(source, params)
    if isinstance(params, NoaaAlertsParams):
        return NwsAlertsSettings(
            source_id=source.source_id,
            state=params.state,
            zones=tuple(params.zones),
            alert_types=tuple(params.alert_types),
            requests_per_poll=_requests_per_poll(source),
            window_s=_window_s(source),
        )
    return firms_settings(source)


def _observations_settings(
    source: SourceModel, params: NoaaWeatherParams
) -> NwsObservationsSettings:
    return NwsObservationsSettings(
        source_id=source.source_id,
        stations=tuple(params.stations),
        zones=tuple(params.zones),
        state=params.state,
        data_types=tuple(params.data_types),
        requests_per_poll=_requests_per_poll(source),
        window_s=_window_s(source),
    )


def _requests_per_poll(source: SourceModel) -> int:
    interval_s = source.poll_interval_s or DEFAULT_SCHEDULE_S
    fitting = int(source.rate_limit_per_minute * interval_s / 60 * PART_FOR_POLLS)
    return max(1, min(fitting, LONGEST_ROTATION))


def _window_s(source: SourceModel) -> int | None:
    return source.window_days * DAY_S if source.window_days is not None else None


def firms_settings(source: SourceModel) -> FirmsSettings:
    """What a nasa_firms source asks for.  Raises TypeError for another source type."""
    params = source.custom_params
    if not isinstance(params, FirmsParams):
        raise TypeError(f"{source.source_id} is a {source.source_type}, not a nasa_firms source")
    return FirmsSettings(
        source_id=source.source_id,
        product=params.chosen_product,
        area=params.chosen_area,
        day_range=params.day_range,
        map_key=_secret(params.map_key) if params.map_key is not None else None,
        feed=params.feed,
        static_span=params.static_span,
        static_region=params.static_region,
        window_s=_window_s(source),
    )


def _secret(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())
