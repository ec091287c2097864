"""How one source's status reads: its row of the table, and what the table has no room for."""

from __future__ import annotations

from wildfire_ingest.cli.pause import in_words
from wildfire_ingest.observe.lag_view import LagView
from wildfire_ingest.observe.limits_view import LimitsView
from wildfire_ingest.observe.spool_view import SpoolView
from wildfire_ingest.observe.status import SourceStatus, as_json

COLUMNS = (
    *("source", "mode", "state", "fetched", "in/s", "published", "out/s", "dead", "pending"),
    *("lag", "newest", "polled", "API"),
)
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def cells(one: SourceStatus) -> list[str]:
    """One source's row, as COLUMNS say."""
    fetched, published, dead, pending = _counts(one.spool)
    into, out = _rates(one)
    return [
        *(one.source_id, one.mode, _state(one), fetched, into, published, out, dead, pending),
        *(_lag(one.lag), age(one.newest_observed_age_s), age(one.last_poll_age_s)),
        _api(one.limits),
    ]


def age(seconds: float | None) -> str:
    """`42 s`, `5 min`, `3 h`, `2 d`; empty where it is not known."""
    if seconds is None:
        return ""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _counts(spool: SpoolView | None) -> list[str]:
    if spool is None:
        return [""] * 4
    ledger = spool.ledger
    return [f"{n:,}" for n in (ledger.fetched, ledger.published, ledger.dead, ledger.pending)]


def _rates(one: SourceStatus) -> tuple[str, str]:
    if one.rates is None:
        return "", ""
    return f"{one.rates.fetched_per_s:,.1f}", f"{one.rates.published_per_s:,.1f}"


def _state(one: SourceStatus) -> str:
    if one.damage:
        return "damaged"
    if one.running_as is not None:
        return f"{'pausing' if one.paused else 'running'} ({one.running_as})"
    if one.spool is not None and "superseded" in one.spool.owner_epochs:
        return "superseded"
    if one.paused:
        return "paused"
    if not one.enabled:
        return "disabled"
    return "idle" if one.spool else "never ran here"


def _lag(found: LagView | None) -> str:
    if found is None:
        return ""
    return "?" if found.records is None else f"{found.records:,}"


def _api(found: LimitsView) -> str:
    words = [found.circuit.replace("_", "-")]
    if found.opens_again_in_s is not None:
        words.append(f"trial in {found.opens_again_in_s:.0f} s")
    if found.paused_for_s is not None:
        words.append(f"paused {found.paused_for_s:.0f} s")
    if found.quota_units is not None:
        words.append(f"quota {found.quota_spent:g}/{found.quota_units:g}")
    return ", ".join(words)


def remarks(one: SourceStatus) -> list[str]:
    """What the table has no room for."""
    found = [one.damage] if one.damage else []
    if one.paused:
        found.append(f"paused {in_words(one.paused)}")
    if one.rates:
        found.append(f"rates of the last {age(one.rates.over_s)}")
    if one.lag and one.lag.why_unknown:
        found.append(f"lag unknown: {one.lag.why_unknown}")
    return found + (_of_spool(one, one.spool) if one.spool else [])


def _of_spool(one: SourceStatus, spool: SpoolView) -> list[str]:
    found = [f"ledger does not close: {fault}" for fault in spool.ledger.faults()]
    found += [
        f"{records:,} records ({size:,} bytes) wait in {lane.name}"
        for lane, (records, size) in spool.pending.items()
    ]
    if spool.cursor:
        found.append(f"cursor {spool.cursor}")
    if "superseded" in spool.owner_epochs:
        found.append(
            f"superseded by epoch {spool.owner_epochs['superseded']}: "
            f"wildfire-ingest recover {one.source_id} --take-over"
        )
    gap = as_json(one)["last_gap"]
    if gap:
        found.append(f"last gap {gap['at']} {gap['kind']}: {gap['reason']}")
    return found
