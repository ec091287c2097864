"""A run's numbers as Dagster shows them: metadata, and data written or only looked.

Names are stable: the UI plots one series a name.  Counts are integers, rates and seconds floats.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import dagster as dg

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
from wildfire_ingest.orchestration import translator

LOG = logging.getLogger("wildfire_ingest.run")
Metadata = Mapping[str, dg.MetadataValue]  # what materialization, observation and failure take
ReportedEvent = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
MAX_TOPICS = 10
TROUBLE = (PollFailed, DeliveryFailed, Degraded, Evicted, DeadLettered)


def records_sent(summary: RunSummary) -> int:
    """Committed to their topics in this run; dead letters are not among them."""
    return summary.ledger.published - summary.ledger.dead


def metadata_of(summary: RunSummary) -> dict[str, dg.MetadataValue]:
    """The run's counts; all of them always, 0 where nothing was, so that plots have no gaps."""
    ledger = summary.ledger
    sent = records_sent(summary)
    counts = {
        "dagster/row_count": sent,
        "records_fetched": ledger.fetched,
        "records_sent": sent,
        "records_duplicate": ledger.duplicate + ledger.superseded,
        "records_too_late": ledger.too_late,
        "records_revised": ledger.revised,
        "records_rejected": ledger.rejected,
        "records_dlq": ledger.dead,
        "records_dropped": ledger.evicted,
        "queue_depth": ledger.pending,
        "delivery_failures": summary.delivery_failures,
        "transactions": summary.transactions,
        "polls": summary.polls,
        "empty_polls": summary.empty_polls,
        "failed_polls": summary.failed_polls,
        "api_calls": summary.api_calls,
        "api_errors": summary.api_errors,
        "cache_hits": summary.cache_hits,
        "throttle_level": summary.throttle_level,
    }
    return {
        **{name: dg.MetadataValue.int(number) for name, number in counts.items()},
        **_rates(summary, sent),
        **_texts(summary),
    }


def _rates(summary: RunSummary, sent: int) -> dict[str, dg.MetadataValue]:
    duration_s = summary.duration_s
    values = {
        "interval_s": duration_s,
        "records_per_s": sent / duration_s if duration_s > 0 else 0.0,
        "api_success_rate": 1 - summary.api_errors / summary.api_calls
        if summary.api_calls
        else None,
        "data_age_s": summary.newest_observed_age_s,
    }
    return {
        name: dg.MetadataValue.float(round(value, 3))
        for name, value in values.items()
        if value is not None  # unknown is not zero
    }


def _texts(summary: RunSummary) -> dict[str, dg.MetadataValue]:
    busiest = sorted(summary.topics.items(), key=lambda item: -item[1])[:MAX_TOPICS]
    texts: dict[str, dg.MetadataValue] = {
        "stop_reason": dg.MetadataValue.text(summary.message or summary.ending),
        "throttle_state": dg.MetadataValue.text(summary.throttle_state),
        "topics": dg.MetadataValue.json(dict(busiest)),
    }
    if summary.consumer_lag is not None:
        texts["consumer_lag"] = dg.MetadataValue.int(summary.consumer_lag)
    if summary.ledger_faults:
        texts["ledger_faults"] = dg.MetadataValue.text("; ".join(summary.ledger_faults))
    return texts


class WindowReporter:
    """What Dagster is told of one source's run, window by window."""

    def __init__(self, config: StreamConfig, source: SourceModel) -> None:
        self._key = translator.source_key(source)
        del config

    def events(self, summary: RunSummary, *, final: bool = False) -> list[ReportedEvent]:
        """The events of one window, `summary` of it; none where nothing happened.

        `final`: it is the run's last window.
        """
        del final
        if records_sent(summary) > 0:
            return [dg.AssetMaterialization(self._key, metadata=metadata_of(summary))]
        if is_troubled(summary):
            return [dg.AssetObservation(self._key, metadata=metadata_of(summary))]
        return []


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
