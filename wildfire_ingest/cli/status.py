"""`wildfire-ingest status`: where each source stands; reads only, works while sources run."""

from __future__ import annotations

import click
import msgspec

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.cli.tables import print_table
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.observe.limits_view import LimitsView
from wildfire_ingest.observe.status import SourceStatus, as_json, status

_COLUMNS = ("source", "mode", "state", "fetched", "published", "dead", "pending", "API")


@click.command()
@click.option("--json", "wants_json", is_flag=True, help="One JSON object per source.")
@click.pass_context
def command(ctx: click.Context, wants_json: bool) -> int:
    """Show each source: whether it runs, what it has done, what waits, whether it may be asked.

    Ends with code 1 where a source's state file is damaged.
    """
    config = config_of(ctx)
    now_us = SystemClock().now_us()
    found = [status(config, source_id, now_us) for source_id in config.sources]
    if wants_json:
        for one in found:
            click.echo(msgspec.json.encode(as_json(one)))
        return _code(found)
    print_table(_COLUMNS, map(_cells, found))
    for one in found:
        for line in _remarks(one):
            click.echo(exits.printable(f"{one.source_id}: {line}"))
    return _code(found)


def _code(found: list[SourceStatus]) -> int:
    return exits.WRONG if any(one.damage for one in found) else exits.OK


def _cells(one: SourceStatus) -> list[str]:
    numbers = ["", "", "", ""]
    if one.spool:
        ledger = one.spool.ledger
        numbers = [
            f"{n:,}" for n in (ledger.fetched, ledger.published, ledger.dead, ledger.pending)
        ]
    return [one.source_id, one.mode, _state(one), *numbers, _api(one.limits)]


def _state(one: SourceStatus) -> str:
    if one.damage:
        return "damaged"
    if one.running_as is not None:
        return f"running ({one.running_as})"
    if one.spool is not None and "superseded" in one.spool.owner_epochs:
        return "superseded"
    if not one.enabled:
        return "disabled"
    return "idle" if one.spool else "never ran here"


def _api(found: LimitsView) -> str:
    words = [found.circuit.replace("_", "-")]
    if found.opens_again_in_s is not None:
        words.append(f"trial in {found.opens_again_in_s:.0f} s")
    if found.paused_for_s is not None:
        words.append(f"paused {found.paused_for_s:.0f} s")
    if found.quota_units is not None:
        words.append(f"quota {found.quota_spent:g}/{found.quota_units:g}")
    return ", ".join(words)


def _remarks(one: SourceStatus) -> list[str]:
    """What the table has no room for."""
    spool = one.spool
    if spool is None:
        return [one.damage] if one.damage else []
    remarks = [f"ledger does not close: {fault}" for fault in spool.ledger.faults()]
    remarks += [
        f"{records:,} records ({size:,} bytes) wait in {lane.name}"
        for lane, (records, size) in spool.pending.items()
    ]
    if spool.cursor:
        remarks.append(f"cursor {spool.cursor}")
    if "superseded" in spool.owner_epochs:
        remarks.append(
            f"superseded by epoch {spool.owner_epochs['superseded']}: "
            f"wildfire-ingest recover {one.source_id} --take-over"
        )
    gap = as_json(one)["last_gap"]
    if gap:
        remarks.append(f"last gap {gap['at']} {gap['kind']}: {gap['reason']}")
    return remarks
