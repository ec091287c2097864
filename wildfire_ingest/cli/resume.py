"""`wildfire-ingest resume`: lets paused sources run again."""

from __future__ import annotations

import click

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.cli.pause import in_words, waiting
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.intake.pause import paused, resume


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...]) -> int:
    """Let each SOURCE run again.

    Dagster starts it at the next tick of its schedule or sensor; a `wildfire-ingest run` that the
    pause has ended is started again by whoever wants it.
    """
    config = config_of(ctx)
    for one in chosen(config, sources):
        click.echo(_resumed(config, one))
    return exits.OK


def _resumed(config: StreamConfig, source_id: str) -> str:
    mark = paused(config.state_dir, source_id)
    if not resume(config.state_dir, source_id) or mark is None:
        return f"{source_id}: was not paused"
    return f"{source_id}: may run again; was paused {in_words(mark)}; {waiting(config, source_id)}"
