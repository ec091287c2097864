"""`wildfire-ingest health`: is it well; for a person, a probe of a container, a cron mail."""

from __future__ import annotations

import click
import msgspec

from wildfire_ingest.assembly import find_source
from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.cli.tables import print_table
from wildfire_ingest.observe.health import Health, health

_COLUMNS = ("part", "name", "verdict", "reason")


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--json", "wants_json", is_flag=True, help="One JSON object.")
@click.option("--strict", is_flag=True, help="Code 1 also where something is degraded.")
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...], *, wants_json: bool, strict: bool) -> int:
    """Check the broker, and the spool and the API of each SOURCE (default: all that run here).

    Nothing is changed.  Ends with code 1 where something is down; what is degraded is said and
    ends with 0, or with 1 under --strict.
    """
    config = config_of(ctx)
    found = health(config, [find_source(config, one) for one in chosen(config, sources)])
    if wants_json:
        click.echo(msgspec.json.encode(found.as_json()))
    else:
        _show(found)
    bad = {"down", "degraded"} if strict else {"down"}
    return exits.WRONG if found.verdict in bad else exits.OK


def _show(found: Health) -> None:
    print_table(
        _COLUMNS,
        ([one.part, one.name, one.verdict, exits.printable(one.reason)] for one in found.findings),
    )
    if found.verdict == "degraded":
        exits.say_line("degraded: it works on, but somebody should look")
