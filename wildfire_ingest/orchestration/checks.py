"""The asset checks of a source, the same in every mode: defined here, judged in observe.checks.

Runs report them with their windows; a person may start them, then they judge what the spool and
the brokers say now.  None of them blocks: the data is in Kafka already.  Annotations are not
postponed here: Dagster reads the types of an op's parameters.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.observe import checks
from wildfire_ingest.observe.checks import Answer
from wildfire_ingest.observe.spool_view import SpoolView
from wildfire_ingest.observe.status import status
from wildfire_ingest.orchestration import translator
from wildfire_ingest.orchestration.resources import ThrottlerResource

DESCRIPTIONS = {
    checks.DEAD_LETTERS: "Rows that became dead letters, of the rows taken in: a warning above"
    f" {checks.WARN_RATIO:.0%}, failed above {checks.FAIL_RATIO:.0%}.",
    checks.LAG: "How far the consumers are behind: a warning above throttling.target_consumer_lag,"
    " failed above throttling.critical_consumer_lag.",
    checks.SILENCE: "Polls succeed, yet bring nothing for longer than the source may be silent.",
    checks.BOOKS: "Every row that was fetched is in exactly one column of the ledger.",
}
SEVERITY = {
    "ok": dg.AssetCheckSeverity.WARN,
    "warn": dg.AssetCheckSeverity.WARN,
    "fail": dg.AssetCheckSeverity.ERROR,
}


def source_specs(source: SourceModel) -> list[dg.AssetCheckSpec]:
    """The checks of one source's asset."""
    key = translator.source_key(source)
    return [
        dg.AssetCheckSpec(name, asset=key, description=DESCRIPTIONS[name], blocking=False)
        for name in checks.NAMES
    ]


def source_checks(config: StreamConfig, source: SourceModel) -> dg.AssetChecksDefinition:
    """`checks_<id>`: what a person starts in the UI."""

    @dg.multi_asset_check(
        name=f"checks_{source.source_id}",
        specs=source_specs(source),
        description=f"Judges {source.source_id} by its spool and its consumers' lag.",
    )
    def judge(throttler: ThrottlerResource) -> Iterator[dg.AssetCheckResult]:
        tuned = throttler.applied(config)
        for answer in answers_now(tuned, source, worst_lag(tuned, throttler)):
            yield dg.AssetCheckResult(
                asset_key=translator.source_key(source),
                check_name=answer.name,
                passed=answer.passed,
                severity=SEVERITY[answer.level],
                description=answer.reason,
                metadata=answer.numbers,
            )

    return judge


def answers_now(config: StreamConfig, source: SourceModel, lag: int | None) -> list[Answer]:
    """The four answers from what is stored; one for all where the spool cannot be read."""
    now_us = SystemClock().now_us()
    found = status(config, source.source_id, now_us)
    if found.damage:
        return [Answer(name, "fail", found.damage) for name in checks.NAMES]
    if found.spool is None:
        return [Answer(name, "ok", "not judged: it has not run here") for name in checks.NAMES]
    spool, settings = found.spool, build.throttle_settings(config)
    return [
        checks.dead_letter_ratio(spool.ledger),
        checks.consumer_lag(settings, lag, settings.unknown_after_s),
        _silence(spool, source, now_us),
        checks.conservation(spool.ledger.faults()),
    ]


def answers_of(summary: RunSummary, config: StreamConfig, source: SourceModel) -> list[Answer]:
    """The four answers from a run's window."""
    settings = build.throttle_settings(config)
    return [
        checks.dead_letter_ratio(summary.life, summary.ledger),
        checks.consumer_lag(settings, summary.consumer_lag, summary.uptime_s),
        checks.zero_records(
            row_age_s=summary.newest_row_age_s,
            poll_age_s=summary.newest_poll_age_s,
            limit_s=source.freshness_s,
            polled_for_s=summary.uptime_s,
        ),
        checks.conservation(summary.ledger_faults),
    ]


def evaluations(source: SourceModel, answers: Sequence[Answer]) -> list[dg.AssetCheckEvaluation]:
    """The answers as a run or a sensor reports them."""
    key = translator.source_key(source)
    return [
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=answer.name,
            passed=answer.passed,
            severity=SEVERITY[answer.level],
            description=answer.reason,
            metadata=answer.numbers,
        )
        for answer in answers
    ]


def worst_lag(config: StreamConfig, throttler: ThrottlerResource) -> int | None:
    """The largest lag of the configured groups; None where one is unknown or none is asked."""
    settings = build.throttle_settings(config)
    topics = build.routing_settings(config).declared
    groups = {t: g for t, g in settings.consumer_groups.items() if g and t in topics}
    if not settings.enabled or not groups:
        return None
    lags = list(throttler.lag(config).read(groups).values())
    known = [lag for lag in lags if lag is not None]
    return max(known) if known and len(known) == len(lags) else None


def _silence(spool: SpoolView, source: SourceModel, now_us: int) -> Answer:
    def age_s(at_us: int | None) -> float | None:
        return None if at_us is None else (now_us - at_us) / SECOND_US

    return checks.zero_records(
        row_age_s=age_s(spool.row_at_us),
        poll_age_s=age_s(spool.polled_at_us),
        limit_s=source.freshness_s,
        polled_for_s=0.0,
    )
