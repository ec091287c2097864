"""Where a source stands, read without disturbing it: configuration, spool, lock, pause, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wildfire_ingest.clock import SECOND_US, iso_utc
from wildfire_ingest.config import build
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.pace import Rates, Sample, rates
from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.intake.pause import Pause, paused
from wildfire_ingest.observe.lag_view import LagView
from wildfire_ingest.observe.limits_view import LimitsView, limits
from wildfire_ingest.observe.spool_view import SpoolView, owner_of, view


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """One source now."""

    source_id: str
    source_type: str
    enabled: bool
    mode: str
    running_as: str | None
    """The process that runs it on this machine."""
    limits: LimitsView
    spool: SpoolView | None
    """None: it has not run here yet, or its file is damaged."""
    damage: str = ""
    """What is wrong with the file, where it cannot be read."""
    oldest_pending_age_s: float | None = None
    rates: Rates | None = None
    """None: no run has left a sample."""
    newest_observed_age_s: float | None = None
    last_poll_age_s: float | None = None
    """Since a poll last succeeded."""
    paused: Pause | None = None
    lag: LagView | None = None
    """None: nobody asked the brokers."""


def status(
    config: StreamConfig,
    source_id: str,
    now_us: int,
    lags: Mapping[str, LagView] | None = None,
) -> SourceStatus:
    """Read one source's state; a damaged spool is told, not raised."""
    source = config.sources[source_id]
    spool, damage = _spool(config, source_id)
    newest_s = spool.newest_observed_s if spool else None
    return SourceStatus(
        source_id=source_id,
        source_type=source.source_type,
        enabled=source.enabled,
        mode=source.ingestion.mode,
        running_as=owner_of(config.state_dir, source_id),
        limits=limits(build.fetch_settings(config, source_id), now_us),
        spool=spool,
        damage=damage,
        oldest_pending_age_s=_age_s(spool.oldest_pending_us if spool else None, now_us),
        rates=_rates(spool, now_us) if spool else None,
        newest_observed_age_s=_age_s(newest_s * SECOND_US if newest_s else None, now_us),
        last_poll_age_s=_age_s(spool.polled_at_us if spool else None, now_us),
        paused=paused(config.state_dir, source_id),
        lag=(lags or {}).get(source_id),
    )


def _rates(spool: SpoolView, now_us: int) -> Rates | None:
    return rates(spool.pace, Sample(now_us, spool.ledger.fetched, spool.ledger.published))


def _age_s(at_us: int | None, now_us: int) -> float | None:
    return (now_us - at_us) / SECOND_US if at_us else None


def _spool(config: StreamConfig, source_id: str) -> tuple[SpoolView | None, str]:
    try:
        return view(config.state_dir, source_id), ""
    except SpoolCorrupt as error:
        return None, str(error)


def as_json(found: SourceStatus) -> dict[str, Any]:
    """The same with plain values; keys are stable."""
    spool = found.spool
    return {
        "source_id": found.source_id,
        "source_type": found.source_type,
        "enabled": found.enabled,
        "mode": found.mode,
        "running_as": found.running_as,
        "limits": asdict(found.limits),
        "damage": found.damage or None,
        "ledger": spool.ledger.as_dict() if spool else None,
        "ledger_faults": list(spool.ledger.faults()) if spool else [],
        "pending": {
            lane.name: {"records": records, "bytes": size}
            for lane, (records, size) in (spool.pending if spool else {}).items()
        },
        "oldest_pending_age_s": found.oldest_pending_age_s,
        "cursor": spool.cursor if spool else None,
        "epoch": spool.owner_epochs.get("epoch") if spool else None,
        "superseded_by_epoch": spool.owner_epochs.get("superseded") if spool else None,
        "last_gap": _gap(spool),
        "rates": asdict(found.rates) if found.rates else None,
        "newest_observed_age_s": found.newest_observed_age_s,
        "last_poll_age_s": found.last_poll_age_s,
        "paused": _pause(found.paused),
        "consumer_lag": found.lag.records if found.lag else None,
        "consumer_lag_unknown": (found.lag.why_unknown or None) if found.lag else None,
    }


def _pause(mark: Pause | None) -> dict[str, str | None] | None:
    return {"since": since(mark), "reason": mark.reason} if mark else None


def since(mark: Pause) -> str | None:
    """When it was paused; None where the mark cannot say so."""
    try:
        return iso_utc(mark.since_us) if mark.since_us > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _gap(spool: SpoolView | None) -> dict[str, str] | None:
    if spool is None or spool.last_gap is None:
        return None
    at_us, kind, reason = spool.last_gap
    return {"at": iso_utc(at_us), "kind": kind, "reason": reason}
