"""`wildfire-ingest demo`: the whole product on this machine, on simulated APIs."""

from __future__ import annotations

import click

from wildfire_ingest.cli import exits
from wildfire_ingest.simulator.demo import run_demo


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="End so long after every mode has materialized once, and compare what was served with"
    " Kafka.",
)
@click.option(
    "--broker",
    default="embedded",
    show_default=True,
    metavar="embedded|kafka|HOST:PORT",
    help="The embedded broker, Apache Kafka (needs Java and Maven), or a cluster of your own.",
)
def command(seconds: float | None, broker: str) -> int:
    """See it all run: a broker, the FIRMS and NWS APIs simulated, and Dagster with a source or
    two in each mode: scheduled, started by a sensor, streaming.

    Ctrl-C ends everything.  With --seconds it ends by itself and exits 1 unless every row that
    was served is in Kafka exactly once.
    """
    return exits.OK if run_demo(broker, seconds) else exits.WRONG
