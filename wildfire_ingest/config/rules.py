"""What must hold between the keys of a valid configuration: errors, each with its key."""

from __future__ import annotations

from urllib.parse import urlsplit

from wildfire_ingest.config.finding import KeyPath, Report, nearest, shown
from wildfire_ingest.config.firms import FirmsParams
from wildfire_ingest.config.kafka import client_key_fault
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.schedule import (
    INTERVALS_S,
    cron_fault,
    nearest_intervals,
)
from wildfire_ingest.config.source import KEYS_OF_MODE, SourceModel
from wildfire_ingest.config.topics import (
    DEFAULT_TOPIC,
    TOPIC_NAME,
    TOPIC_PROPERTIES_WITH_OWN_KEY,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def check(config: StreamConfig, report: Report) -> None:
    """Add every error that lies between keys."""
    _throttling(config, report)
    _kafka(config, report)
    _security(config, report)
    _topics(config, report)
    _routes(config, report)
    for source_id, source in config.sources.items():
        _ingestion(source, ("sources", source_id, "ingestion"), report)
        _server(source, ("sources", source_id, "base_url"), report)
        if isinstance(source.custom_params, FirmsParams):
            _firms(source.custom_params, ("sources", source_id, "custom_params"), report)


def _throttling(config: StreamConfig, report: Report) -> None:
    limits = config.throttling
    if limits.critical_consumer_lag <= limits.target_consumer_lag:
        report.error(
            "lag_order",
            ("throttling", "critical_consumer_lag"),
            str(limits.critical_consumer_lag),
            f"more than target_consumer_lag ({limits.target_consumer_lag})",
        )
    if 0 < limits.max_send_rate < limits.min_send_rate:
        report.error(
            "rate_order",
            ("throttling", "max_send_rate"),
            str(limits.max_send_rate),
            f"at least min_send_rate ({limits.min_send_rate}), or 0 = unlimited",
        )
    for topic in limits.consumer_groups:
        _declared(topic, ("throttling", "consumer_groups", topic), config, report)


def _kafka(config: StreamConfig, report: Report) -> None:
    for key in config.kafka.client_config:
        problem = client_key_fault(key)
        if problem is not None:
            report.error("client_config", ("kafka", "client_config", key), key, *problem)
    names = ("dlq_topic", "offsets_topic")
    for key in names:
        _topic_name(getattr(config.kafka, key), ("kafka", key), report)
    offsets = config.kafka.offsets_topic
    if offsets in (config.kafka.dlq_topic, DEFAULT_TOPIC, *config.topics):
        report.error(
            "topic_twice",
            ("kafka", "offsets_topic"),
            shown(offsets),
            "a topic of its own, not one that records go to",
        )
    if config.kafka.dlq_topic == DEFAULT_TOPIC:
        report.error(
            "topic_twice", ("kafka", "dlq_topic"), shown(DEFAULT_TOPIC), "a topic of its own"
        )


def _security(config: StreamConfig, report: Report) -> None:
    kafka = config.kafka
    with_sasl = kafka.security_protocol.startswith("SASL_")
    with_ssl = kafka.security_protocol.endswith("SSL")
    for key in sorted(kafka.model_fields_set):
        path: KeyPath = ("kafka", key)
        if key.startswith("sasl_") and not with_sasl:
            report.error(
                "security",
                path,
                f"{key} with security_protocol {kafka.security_protocol}",
                "SASL_SSL or SASL_PLAINTEXT with it",
            )
        if key.startswith("ssl_") and not with_ssl:
            report.error(
                "security",
                path,
                f"{key} with security_protocol {kafka.security_protocol}",
                "SSL or SASL_SSL with it",
            )
    if with_sasl:
        for key in ("sasl_mechanism", "sasl_username", "sasl_password"):
            missing = getattr(kafka, key) is None
            if missing and not any(one.path == f"kafka.{key}" for one in report.errors):
                report.error(
                    "security",
                    ("kafka", key),
                    "nothing",
                    f"a value, as security_protocol is {kafka.security_protocol}",
                )
    if (kafka.ssl_certificate_location is None) != (kafka.ssl_key_location is None):
        report.error(
            "security",
            ("kafka", "ssl_key_location"),
            "only one of the pair",
            "both ssl_certificate_location and ssl_key_location",
        )


def _topics(config: StreamConfig, report: Report) -> None:
    for name, topic in config.topics.items():
        path: KeyPath = ("topics", name)
        _topic_name(name, path, report)
        if topic.name not in (None, name):
            report.error("topic_name", (*path, "name"), shown(topic.name), f"its key '{name}'")
        in_sync = topic.min_insync_replicas
        if in_sync is not None and in_sync > topic.replication_factor:
            report.error(
                "in_sync",
                (*path, "min_insync_replicas"),
                str(in_sync),
                f"at most replication_factor ({topic.replication_factor})",
            )
        for key in topic.config:
            own = TOPIC_PROPERTIES_WITH_OWN_KEY.get(key)
            if own is not None:
                report.error("topic_config", (*path, "config", key), key, f"its own key {own}")


def _topic_name(name: str, path: KeyPath, report: Report) -> None:
    if not TOPIC_NAME.fullmatch(name):
        report.error(
            "topic_name",
            path,
            f"the topic name {shown(name)}",
            "at most 249 letters, digits, '.', '_' and '-'",
        )


def declared_topics(config: StreamConfig) -> frozenset[str]:
    """Every topic that a record may go to."""
    return frozenset((DEFAULT_TOPIC, *config.topics))


def _declared(topic: str, path: KeyPath, config: StreamConfig, report: Report) -> None:
    valid = declared_topics(config)
    if topic not in valid:
        report.error(
            "undeclared_topic",
            path,
            f"the undeclared topic {shown(topic)}",
            "a topic declared under topics:",
            nearest(topic, sorted(valid)),
        )


def _routes(config: StreamConfig, report: Report) -> None:
    rules = config.topic_rules
    if "content" in rules.model_fields_set:
        for index, content in enumerate(rules.content):
            if content.topic is not None:
                path: KeyPath = ("topic_rules", "content", index, "topic")
                _declared(content.topic, path, config, report)
    if "patterns" in rules.model_fields_set:
        for index, rule in enumerate(rules.patterns):
            _declared(rule.topic, ("topic_rules", "patterns", index, "topic"), config, report)
    for source_id, topic in config.custom_topic_mappings.items():
        if source_id in config.sources:  # a mapping of no source has no effect: lint says so
            _declared(topic, ("custom_topic_mappings", source_id), config, report)
    for source_id, source in config.sources.items():
        if source.topic is not None:
            _declared(source.topic, ("sources", source_id, "topic"), config, report)


def _ingestion(source: SourceModel, path: KeyPath, report: Report) -> None:
    ingestion = source.ingestion
    for key, modes in KEYS_OF_MODE.items():
        if getattr(ingestion, key) is not None and ingestion.mode not in modes:
            report.error(
                "mode",
                (*path, key),
                f"{key} in mode {ingestion.mode}",
                f"it only in mode {' or '.join(sorted(modes))}",
            )
    interval_s = ingestion.schedule_interval_seconds
    if interval_s is not None and ingestion.schedule_cron is not None:
        report.error(
            "schedule",
            (*path, "schedule_cron"),
            "an interval and a cron line",
            "one of schedule_interval_seconds and schedule_cron",
        )
    if interval_s is not None and interval_s not in INTERVALS_S:
        near = " or ".join(str(one) for one in nearest_intervals(interval_s))
        report.error(
            "schedule",
            (*path, "schedule_interval_seconds"),
            str(interval_s),
            f"an interval that a cron line can say (nearest: {near}), or schedule_cron",
        )
    problem = cron_fault(ingestion.schedule_cron) if ingestion.schedule_cron is not None else None
    if problem is not None:
        report.error(
            "schedule",
            (*path, "schedule_cron"),
            problem,
            "minute hour day month weekday, e.g. '*/20 * * * *'",
        )


def _server(source: SourceModel, path: KeyPath, report: Report) -> None:
    if source.base_url is None:
        return
    try:
        url = urlsplit(source.base_url)
        host, _ = url.hostname, url.port
    except ValueError:
        host, url = None, urlsplit("")
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment:
        report.error(
            "base_url",
            path,
            "a value that is no server's address",
            "https://host or https://host:port/path, without ? and #",
        )
    elif url.username is not None or url.password is not None:
        report.error(
            "base_url", path, "an address with a user or password (not shown)", "an address without"
        )
    elif url.scheme == "http" and host not in LOOPBACK and not source.allow_insecure_http:
        report.error(
            "base_url", path, f"plain http to {shown(host)}", "https, or allow_insecure_http: true"
        )


def _firms(params: FirmsParams, path: KeyPath, report: Report) -> None:
    for ours, earlier in (("area", "region"), ("product", "satellite")):
        if getattr(params, ours) is not None and getattr(params, earlier) is not None:
            report.error("twice", (*path, earlier), f"{earlier} beside {ours}", "one of them")
