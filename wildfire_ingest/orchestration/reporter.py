"""A run's numbers as Dagster shows them: metadata, and data written or only looked.

Names are stable: the UI plots one series a name.  Counts are integers, rates and seconds floats.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import dagster as dg

from wildfire_ingest.clock import SECOND_US, Clock, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.engine.events import (
    DeadLettered,
    Degraded,
    DeliveryFailed,
    Event,
    Evicted,
    PollFailed,
)
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.observe.checks import Level
from wildfire_ingest.orchestration import checks, translator

LOG = logging.getLogger("wildfire_ingest.run")
Metadata = Mapping[str, dg.MetadataValue]  # what materialization, observation and failure take
ReportedEvent = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
CHECKS_EVERY_S = 3600.0
"""A verdict that does not change is told so often: four of them cost SQLite 18 KB."""
MAX_TOPICS = 10
TROUBLE = (PollFailed, DeliveryFailed, Degraded, Evicted, DeadLettered)


def records_sent(summary: RunSummary) -> int:
    """Committed to their topics in this run; dead letters are not among them."""
    return summary.ledger.published - summary.ledger.dead


def metadata_of(summary: RunSummary) -> dict[str, dg.MetadataValue]:
    """The numbers of a run or of a window of it, under names that never change.

    All of them always, 0 where nothing was, so that plots have no gaps; only a lag or an age that
    is not known is left out, for it is not 0.  An entry costs SQLite 300 bytes: what is rarely
    plotted is together in `counters`.
    """
    return {
        **{name: dg.MetadataValue.int(number) for name, number in _counts(summary).items()},
        **{name: dg.MetadataValue.float(round(x, 3)) for name, x in _rates(summary).items()},
        **{name: dg.MetadataValue.text(words) for name, words in _words(summary).items()},
        "topic_usage": dg.MetadataValue.json(_busiest(summary.topics)),
        "counters": dg.MetadataValue.json(_counters(summary)),
    }


def _counts(summary: RunSummary) -> dict[str, int]:
    ledger, sent = summary.ledger, records_sent(summary)
    counts = {
        "dagster/row_count": sent,
        "records_fetched": ledger.fetched,
        "records_sent": sent,
        "records_duplicate": ledger.duplicate + ledger.superseded,
        "records_rejected": ledger.rejected,
        "records_dlq": ledger.dead,
        "delivery_failures": summary.delivery_failures,
        "queue_size": ledger.pending,
        "failed_polls": summary.failed_polls,
        "api_calls": summary.api_calls,
        "throttle_level": summary.throttle_level,
    }
    if summary.consumer_lag is not None:
        counts["consumer_lag"] = summary.consumer_lag
    return counts


def _rates(summary: RunSummary) -> dict[str, float]:
    duration_s, calls = summary.duration_s, summary.api_calls
    rates = {
        "records_per_s": records_sent(summary) / duration_s if duration_s > 0 else 0.0,
        "api_success_rate": 1 - summary.api_errors / calls if calls else 1.0,
    }
    if summary.newest_observed_age_s is not None:
        rates["data_age_s"] = summary.newest_observed_age_s
    return rates


def _words(summary: RunSummary) -> dict[str, str]:
    words = {"throttle_state": summary.throttle_state}
    if summary.ending != "running":
        words["stop_reason"] = summary.message or summary.ending
    if summary.ledger_faults:
        words["ledger_faults"] = "; ".join(summary.ledger_faults)
    return words


def _counters(summary: RunSummary) -> dict[str, object]:
    ledger = summary.ledger
    return {
        "polls": summary.polls,
        "empty_polls": summary.empty_polls,
        "cache_hits": summary.cache_hits,
        "api_errors": summary.api_errors,
        "records_revised": ledger.revised,
        "records_too_late": ledger.too_late,
        "records_filtered": ledger.filtered,
        "records_dropped": ledger.evicted,
        "records_quarantined": ledger.quarantined,
        "queue_enqueued": summary.queue_enqueued,
        "queue_dequeued": summary.queue_dequeued,
        "queue_dropped": summary.queue_dropped,
        "throttle_adjustments": summary.throttle_adjustments,
        "throttle_pauses": summary.throttle_pauses,
        "resolutions": summary.resolutions,
        "transactions": summary.transactions,
        "delivery_retries": summary.delivery_retries,
        "total_sent": summary.total_sent,
        "interval_s": round(summary.duration_s, 1),
        "uptime_s": round(summary.uptime_s),
    }


def _busiest(topics: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(topics.items(), key=lambda item: -item[1])[:MAX_TOPICS])


def not_run(key: dg.AssetKey, why: str) -> dg.AssetObservation:
    """What an asset is told by a run that did not begin to poll."""
    metadata: Metadata = {
        "records_sent": dg.MetadataValue.int(0),
        "stop_reason": dg.MetadataValue.text(why),
    }
    return dg.AssetObservation(key, metadata=metadata)


class WindowReporter:
    """What Dagster is told of one source's run, window by window.

    Keep one for as long as the process reports of the source: it tells what its checks found at
    first, when a verdict changes, at the end of a run, and else only every CHECKS_EVERY_S.
    """

    def __init__(
        self, config: StreamConfig, source: SourceModel, clock: Clock | None = None
    ) -> None:
        self._config = config
        self._source = source
        self._clock = clock or SystemClock()
        self._told: dict[str, Level] = {}
        self._told_at_us = 0
        self._topic_told_at_us: int | None = None

    def events(self, summary: RunSummary, *, final: bool = False) -> list[ReportedEvent]:
        """The events of one window, `summary` of it; none where nothing happened.

        `final`: it is the run's last window.
        """
        key = translator.source_key(self._source)
        found: list[ReportedEvent] = []
        if records_sent(summary) > 0:
            found.append(dg.AssetMaterialization(key, metadata=metadata_of(summary)))
            found += self._topic(summary)
        elif is_troubled(summary):
            found.append(dg.AssetObservation(key, metadata=metadata_of(summary)))
        return [*found, *self._checks(summary, final=final)]

    def _topic(self, summary: RunSummary) -> list[dg.AssetMaterialization]:
        """That the source's topic has got data, now and then: else it would look never filled."""
        topic, now_us = translator.topic_of(self._config, self._source), self._clock.monotonic_us()
        last_us = self._topic_told_at_us
        is_due = last_us is None or now_us - last_us >= CHECKS_EVERY_S * SECOND_US
        if not is_due or not summary.topics.get(topic):
            return []
        self._topic_told_at_us = now_us
        words = {"from": dg.MetadataValue.asset(translator.source_key(self._source))}
        return [dg.AssetMaterialization(translator.topic_key(topic), metadata=words)]

    def _checks(self, summary: RunSummary, *, final: bool) -> list[dg.AssetCheckEvaluation]:
        answers = checks.answers_of(summary, self._config, self._source)
        levels = {answer.name: answer.level for answer in answers}
        now_us = self._clock.monotonic_us()
        is_due = now_us - self._told_at_us >= CHECKS_EVERY_S * SECOND_US
        if not self._told or final or is_due:
            self._told_at_us, changed = now_us, answers
        else:
            changed = [one for one in answers if self._told[one.name] != one.level]
        self._told = levels
        return checks.evaluations(self._source, changed)


def is_troubled(summary: RunSummary) -> bool:
    """Whether a person looks for this window although it sent nothing."""
    ledger = summary.ledger
    return bool(
        summary.failed_polls
        or summary.delivery_failures
        or summary.throttle_pauses
        or ledger.rejected
        or ledger.dead
        or ledger.evicted
        or ledger.quarantined
        or summary.ledger_faults
    )


class TroubleLog:
    """Writes what a person should know to the run's log: the first of each kind, then counts.

    The stdlib log, not Dagster's: each of Dagster's lines is a row in its database.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}

    def emit(self, event: Event) -> None:
        if not isinstance(event, TROUBLE):
            return
        kind = (type(event).__name__, str(getattr(event, "error_class", "")))
        times = self._seen[kind] = self._seen.get(kind, 0) + 1
        if times & (times - 1) == 0:  # the 1st, 2nd, 4th, 8th …
            LOG.warning("%s (%d times)", event, times)
