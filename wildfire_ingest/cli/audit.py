"""`wildfire-ingest audit`: the ledger, the offset records and the topics against one another."""

from __future__ import annotations

from dataclasses import asdict

import click
import msgspec

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.cli.tables import print_table
from wildfire_ingest.observe.audit import Verdict, judge
from wildfire_ingest.observe.audit_reading import gather

_COLUMNS = (
    *("source", "published", "counted", "in topics", "distinct", "dead"),
    *("pending", "lost", "doubled", "foreign", "closes"),
)


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per source.")
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...], as_json: bool) -> int:
    """Prove that nothing of each SOURCE is lost and nothing doubled (default: all of them).

    `published` is what the spool has sent, `counted` what the offset records in Kafka say, `in
    topics` what a read_committed consumer finds, dead letters among it.  Code 1 when they do not
    agree.  Nothing is changed; it may run beside the sources.  What a topic's retention has
    removed cannot be compared, and is said.
    """
    config = config_of(ctx)
    verdicts = [judge(one) for one in gather(config, chosen(config, sources))]
    if as_json:
        for verdict in verdicts:
            click.echo(msgspec.json.encode(asdict(verdict)))
    else:
        print_table(_COLUMNS, map(_cells, verdicts))
    for verdict in verdicts:
        for note in verdict.notes:
            exits.say_line(f"note: {verdict.source_id}: {note}")
        for fault in verdict.faults:
            exits.say_line(f"{verdict.source_id}: {fault}")
    return exits.WRONG if any(verdict.faults for verdict in verdicts) else exits.OK


def _cells(v: Verdict) -> list[str]:
    numbers = (v.published, v.counted, v.in_topics, v.distinct, v.dead)
    faults = (v.pending, v.lost, v.doubled, v.foreign)
    closes = "no" if v.faults else "yes"
    return [v.source_id, *(f"{n:,}" for n in (*numbers, *faults)), closes]
