"""`wildfire-ingest recover`: bring a source in line with Kafka and deliver what waits."""

from __future__ import annotations

import click

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.cli.run import watched
from wildfire_ingest.cli.source_run import SourceRun
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.observe.log import EventLog


@click.command()
@click.argument("source")
@click.option(
    "--take-over",
    is_flag=True,
    help="Go on although another owner has claimed the source; only when that one is gone.",
)
@click.option("--republish", is_flag=True, help="Send again what the broker has lost.")
@click.pass_context
def command(ctx: click.Context, source: str, take_over: bool, republish: bool) -> int:
    """Read what Kafka holds of SOURCE, bring the spool in line, deliver what waits; no poll.

    What happened is told on stderr, the numbers are one JSON line on stdout.
    """
    config = config_of(ctx)
    (name,) = chosen(config, (source,))
    run = SourceRun(
        config,
        name,
        lambda engine, stop: engine.deliver_pending(stop),
        EventLog(),
        permissions=Permissions(take_over=take_over, republish=republish),
        heeds_pause=False,  # it does not poll, and a person has just asked for it
    )
    code = watched([run])
    if code == exits.OK and run.summary is not None:
        done, left = run.summary.ledger.published, run.summary.ledger.pending
        exits.say_line(
            f"{name}: in line with Kafka under epoch {run.summary.epoch}; {done} records "
            f"published, {left} still wait"
        )
    return code
