"""The command line `wildfire-ingest`: which commands there are.

Each is imported only when it is used, so that none pays for another's libraries, and one that
cannot be imported takes no other with it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from wildfire_ingest import __version__
from wildfire_ingest.cli import exits

PROGRAM = "wildfire-ingest"
COMMANDS = {
    "lint": "Check the configuration.",
    "preview": "Show what a source would send; send nothing.",
    "run": "Run sources: from their APIs into Kafka.",
    "pause": "Stop sources in good order, whoever runs them, until they are resumed.",
    "resume": "Let paused sources run again.",
    "tail": "Show records as they arrive in the topics.",
    "topics": "Compare the cluster's topics with the declared ones, or create them.",
    "dlq": "Look at the dead letters.",
    "audit": "Prove that nothing is lost and nothing doubled.",
    "recover": "Deliver what waits; settle what a person must decide.",
    "status": "Show where each source stands.",
    "health": "Tell whether it is well: broker, spools, APIs.",
    "simulate": "Serve an API's answers locally.",
    "demo": "See it all run on this machine.",
}
"""Name -> short help; the module of the same name holds a click object `command`."""

_EPILOG = "Exit codes: " + "; ".join(f"{n} {words}" for n, words in exits.MEANINGS.items()) + "."


class Commands(click.Group):
    """The table above as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = f"wildfire_ingest.cli.{cmd_name}"
        try:
            command: click.Command = import_module(module).command
        except ImportError as error:
            raise click.ClickException(
                f"{cmd_name} cannot be used in this installation: {error}"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run and exit; an error is one line on stderr."""
        options["standalone_mode"] = False
        sys.exit(exits.ending(lambda: super(Commands, self).main(*args, **options)))


@click.command(
    cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="The configuration; default: $WILDFIRE_CONFIG, else ./stream_config.yaml.",
)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(ctx: click.Context, path: Path | None) -> None:
    """Wildfire data from HTTP APIs into Kafka topics, each observation exactly once."""
    ctx.obj = path


def main() -> NoReturn:
    """Entry point of the console script."""
    cli.main(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
