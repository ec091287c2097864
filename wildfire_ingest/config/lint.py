"""What is valid but doubtful: warnings, each with its key and what it leads to.

Rates per minute, intervals in seconds, quotas in the API's own units.
"""

from __future__ import annotations

from collections.abc import Iterable

from wildfire_ingest.config.build import firms_settings
from wildfire_ingest.config.finding import KeyPath, Report, nearest
from wildfire_ingest.config.firms import QUOTA_INTERVAL_S, QUOTA_UNITS, FirmsParams
from wildfire_ingest.config.interpolation import fits
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.pattern import covers, matches_no_id
from wildfire_ingest.config.rules import LOOPBACK
from wildfire_ingest.config.source import LEAST_RUN_INTERVAL_S, SourceModel
from wildfire_ingest.sources import firms_request
from wildfire_ingest.sources.nasa_firms import FirmsSettings

NO_EFFECT: dict[KeyPath, str] = {
    ("throttling", "adjustment_factor"): "pauses double instead",
    ("throttling", "window_size_seconds"): "every lag sample counts by itself",
    ("throttling", "metric_sample_size"): "every lag sample counts by itself",
    ("monitoring",): "no metrics page is served",
    ("logging",): "Dagster decides how events are written",
    ("health_check", "endpoints"): "every component is checked",
    ("reliability", "dlq_retry_attempts"): "dead letters are not replayed by themselves",
    ("reliability", "dlq_retry_delay_seconds"): "dead letters are not replayed by themselves",
    ("performance", "max_concurrent_streams"): "Dagster's own run limits count",
}
"""Keys that are accepted and checked and not used yet."""
SEASON_DAYS = 2
"""Days a FIRMS poll asks for in the first hours of a UTC day, when yesterday is asked too."""


def lint(config: StreamConfig, paths: Iterable[KeyPath], report: Report) -> None:
    """Add every warning; `paths` are the keys that were written."""
    _without_effect(paths, report)
    _names(config, report)
    _cluster(config, report)
    _rules(config, report)
    _quota(config, report)
    _overlaps(config, report)
    for source_id, source in config.sources.items():
        _source(config, source_id, source, report)


def _without_effect(paths: Iterable[KeyPath], report: Report) -> None:
    for path in paths:
        for pattern, reason in NO_EFFECT.items():
            if fits(path, pattern):
                report.warn("no_effect", path, f"has no effect yet: {reason}")


def _names(config: StreamConfig, report: Report) -> None:
    known = list(config.sources)
    for source_id in config.custom_topic_mappings:
        if source_id not in config.sources:
            _no_source(("custom_topic_mappings", source_id), source_id, known, report)
    for index, source_id in enumerate(config.priority_sources):
        if source_id not in config.sources:
            _no_source(("priority_sources", index), source_id, known, report)
    for source_id, source in config.sources.items():
        if config.instance is not None and source.enabled and source.instance is None:
            report.warn(
                "no_instance",
                ("sources", source_id),
                "names no instance, so no process with WILDFIRE_INSTANCE runs it",
            )


def _no_source(path: KeyPath, source_id: str, known: list[str], report: Report) -> None:
    near = nearest(source_id, known)
    hint = f" (did you mean {near}?)" if near else ""
    report.warn("no_source", path, f"can never match: there is no source {source_id}{hint}")


def _cluster(config: StreamConfig, report: Report) -> None:
    hosts = {server.rpartition(":")[0] for server in config.kafka.bootstrap_servers.split(",")}
    far = sorted(host for host in hosts if host.strip("[]") not in LOOPBACK)
    protocol = config.kafka.security_protocol
    if far and protocol.endswith("PLAINTEXT"):
        report.warn(
            "plaintext",
            ("kafka", "security_protocol"),
            f"{protocol} to {far[0]}: records "
            "(and a password) travel readable; use SSL or SASL_SSL",
        )
    for name, topic in config.topics.items():
        if topic.replication_factor == 1 and (len(hosts) > 1 or far):
            report.warn(
                "replication",
                ("topics", name, "replication_factor"),
                "1: losing that one broker loses the topic; use 3 on a cluster",
            )


def _rules(config: StreamConfig, report: Report) -> None:
    patterns = config.topic_rules.patterns
    for index, rule in enumerate(patterns):
        path: KeyPath = ("topic_rules", "patterns", index)
        above = [one.pattern for one in patterns[:index] if covers(one.pattern, rule.pattern)]
        if rule.pattern.lower() in map(str.lower, above):
            report.warn("unreachable", path, "can never match: the same pattern stands above")
        elif above:
            report.warn(
                "order",
                path,
                f"stands below '{above[0]}', which takes all that it would; as the more specific "
                "it is asked first, so write it first",
            )
        if matches_no_id(rule.pattern):
            report.warn("unreachable", path, "can never match: ids hold letters, digits and _ only")
    content = config.topic_rules.content
    for index, condition in enumerate(content):
        path = ("topic_rules", "content", index)
        if condition.exists is False and (
            condition.equals is not None or condition.matches is not None
        ):
            report.warn(
                "unreachable", path, "can never match: a field that does not exist has no value"
            )
        effect = {"topic": None, "priority": None}
        bare = condition.model_copy(update=effect)
        if any(one.model_copy(update=effect) == bare for one in content[:index]):
            report.warn("unreachable", path, "can never match: the same condition stands above")


def _source(config: StreamConfig, source_id: str, source: SourceModel, report: Report) -> None:
    path: KeyPath = ("sources", source_id)
    interval_s = source.poll_interval_s
    ttl_s = source.cache_ttl_seconds
    caches = config.performance.enable_caching and source.has_own_pace
    if caches and interval_s is not None and ttl_s >= interval_s:
        report.warn(
            "cache_ttl",
            (*path, "cache_ttl_seconds"),
            f"{ttl_s:g} s is not below the poll interval of {interval_s:g} s: the API is "
            f"asked once in {ttl_s:g} s only, the polls between do nothing",
        )
    limit = source.connector.published_rate_per_minute
    asked = 60 / interval_s if interval_s else 0.0
    if limit is not None and asked > limit:
        report.warn(
            "api_rate",
            (*path, "ingestion"),
            f"a poll every {interval_s:g} s is more than "
            f"the {limit:.3g} requests a minute that the API allows",
        )
    if limit is not None and source.rate_limit_per_minute > limit and _is_set(source):
        report.warn(
            "api_rate",
            (*path, "rate_limit_per_minute"),
            f"{source.rate_limit_per_minute} "
            f"is more than the {limit:.3g} requests a minute that the API allows",
        )
    _run_cost(source, path, report)
    if isinstance(source.custom_params, FirmsParams):
        _firms_keys(source.custom_params, (*path, "custom_params"), report)


def _run_cost(source: SourceModel, path: KeyPath, report: Report) -> None:
    """A Dagster run costs 3 CPU-seconds before it polls."""
    ingestion, interval_s = source.ingestion, source.poll_interval_s or 0.0
    by_runs = ingestion.mode == "real_time" and ingestion.execution == "run"
    if source.enabled and by_runs and interval_s < LEAST_RUN_INTERVAL_S:
        report.warn(
            "run_cost",
            (*path, "ingestion", "execution"),
            f"a Dagster run for the news of each {interval_s:g} s costs more than it brings: "
            "use execution: inline or mode: continuous_streaming",
        )


def _is_set(source: SourceModel) -> bool:
    return "rate_limit_per_minute" in source.model_fields_set


def _firms_keys(params: FirmsParams, path: KeyPath, report: Report) -> None:
    useless = (
        ("area", "region", "day_range")
        if params.feed == "static"
        else ("static_span", "static_region")
    )
    for key in useless:
        if key in params.model_fields_set:
            report.warn("no_effect", (*path, key), f"has no effect with feed: {params.feed}")


def _firms_sources(config: StreamConfig) -> list[tuple[str, SourceModel, FirmsSettings]]:
    return [
        (source_id, source, firms_settings(source))
        for source_id, source in config.sources.items()
        if source.enabled and isinstance(source.custom_params, FirmsParams)
    ]


def _quota(config: StreamConfig, report: Report) -> None:
    """Worst-case requests of all sources on one key against the key's quota."""
    used: dict[object, float] = {}
    members: dict[object, list[str]] = {}
    for source_id, source, settings in _firms_sources(config):
        if settings.feed == "static":
            continue
        cost = firms_request.cost(settings, max(settings.day_range, SEASON_DAYS))
        interval_s = max(source.poll_interval_s or 60.0, source.cache_ttl_seconds)
        used[settings.map_key] = used.get(settings.map_key, 0.0) + cost * (
            QUOTA_INTERVAL_S / interval_s
        )
        members.setdefault(settings.map_key, []).append(source_id)
        by_rate = source.rate_limit_per_minute * (QUOTA_INTERVAL_S / 60) * cost
        if by_rate > QUOTA_UNITS and _is_set(source):
            report.warn(
                "api_rate",
                ("sources", source_id, "rate_limit_per_minute"),
                f"{source.rate_limit_per_minute} requests of {cost:g} units a minute "
                f"break the key's quota of {QUOTA_UNITS} units in 10 minutes",
            )
    for key, units in used.items():
        if units > QUOTA_UNITS:
            report.warn(
                "quota",
                ("sources", members[key][-1], "ingestion"),
                f"{', '.join(members[key])} together take {units:.0f} units in 10 minutes "
                f"of one key's {QUOTA_UNITS}; poll less often or a smaller area",
            )


def _overlaps(config: StreamConfig, report: Report) -> None:
    sources = _firms_sources(config)
    for index, (second_id, _, second) in enumerate(sources):
        for first_id, _, first in sources[:index]:
            if first.product == second.product and _share_ground(first, second):
                report.warn(
                    "overlap",
                    ("sources", second_id),
                    f"overlaps with {first_id}: the "
                    "same detections would be sent by both, with the same ids",
                )


def _share_ground(first: FirmsSettings, second: FirmsSettings) -> bool:
    if first.feed == second.feed == "static":
        regions = {first.static_region, second.static_region}
        return len(regions) == 1 or "Global" in regions
    if "static" in (first.feed, second.feed):
        return True  # how far a static region reaches is not published
    one, two = firms_request.box(first), firms_request.box(second)
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
