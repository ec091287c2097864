"""`wildfire-ingest lint`: what is wrong or doubtful in the configuration, a line each."""

from __future__ import annotations

from pathlib import Path

import click

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import loaded
from wildfire_ingest.errors import ConfigError
from wildfire_ingest.fetch.redact import REDACTOR


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.pass_context
def command(ctx: click.Context, file: Path | None) -> int:
    """Check FILE (default: the configuration in use).

    One line a finding: file, line, key, what was found, what is valid.  Errors end with code 1;
    warnings alone with 0.
    """
    try:
        found = loaded(ctx, file)
    except ConfigError as error:
        click.echo(REDACTOR.clean(str(error)))
        return exits.WRONG
    for warning in found.warnings:
        click.echo(str(warning))
    names = ", ".join(source.source_id for source in found.config.owned_sources)
    exits.say_line(
        f"{found.path}: valid, {len(found.warnings)} warnings; runs {names or 'no source'}"
    )
    return exits.OK
