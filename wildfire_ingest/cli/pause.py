"""`wildfire-ingest pause`: sources stop in good order and stay stopped until they are resumed."""

from __future__ import annotations

import threading

import click

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.clock import SECOND_US, Clock, SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.intake.pause import Pause, pause, paused
from wildfire_ingest.observe.spool_view import owner_of, view
from wildfire_ingest.observe.status import since

MAX_REASON_CHARS = 200
_LOOK_EVERY_S = 0.2


def _reason(_: click.Context, option: click.Parameter, text: str) -> str:
    if len(text) > MAX_REASON_CHARS:
        raise click.BadParameter(
            f"found {len(text)} characters; expected at most {MAX_REASON_CHARS}", param=option
        )
    return text


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--reason", default="", callback=_reason, help="Kept with the pause and shown by `status`."
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long for what runs to have ended; code 1 when it has not.",
)
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...], reason: str, wait_s: float | None) -> int:
    """Pause each SOURCE, whoever runs it: it stops polling, delivers what waits, and ends.

    Nothing starts it again until `wildfire-ingest resume`.  What could not be delivered stays
    spooled.
    """
    config = config_of(ctx)
    names = chosen(config, sources)
    clock = SystemClock()
    for one in names:
        click.echo(_paused(config, one, exits.printable(REDACTOR.clean(reason)), clock))
    if wait_s is None:
        return exits.OK
    return _waited(config, names, wait_s, clock)


def _paused(config: StreamConfig, source_id: str, reason: str, clock: Clock) -> str:
    """Pause it; what that means now, in a line."""
    before = paused(config.state_dir, source_id)
    mark = before or pause(config.state_dir, source_id, reason, clock.now_us())
    owner = owner_of(config.state_dir, source_id)
    already = f" already, {in_words(mark)}" if before else ""
    next_step = (
        f"process {owner} stops polling, delivers what waits and ends"
        if owner
        else f"it does not run here, and nothing starts it; {waiting(config, source_id)}"
    )
    return f"{source_id}: paused{already}: {exits.printable(next_step)}"


def _waited(config: StreamConfig, names: list[str], wait_s: float, clock: Clock) -> int:
    """Wait until none of them runs, at most so long; says how each stands."""
    until_us = clock.monotonic_us() + int(wait_s * SECOND_US)
    code = exits.OK
    for one in names:
        while (owner := owner_of(config.state_dir, one)) and clock.monotonic_us() < until_us:
            clock.wait(threading.Event(), _LOOK_EVERY_S)
        if owner:
            exits.say_line(f"error: {one}: process {owner} still runs it after {wait_s:g} s")
            code = exits.WRONG
        else:
            click.echo(f"{one}: does not run; {waiting(config, one)}")
    return code


def waiting(config: StreamConfig, source_id: str) -> str:
    """How much of the source is not delivered yet, in words."""
    try:
        found = view(config.state_dir, source_id)
    except SpoolCorrupt:
        return "its state file cannot be read: `wildfire-ingest status` says more"
    n = found.ledger.pending if found else 0
    return f"{n:,} records wait" if n else "nothing waits"


def in_words(mark: Pause) -> str:
    """Since when and why; whatever is in the mark, it is one short printable line."""
    began = since(mark)
    if began is None:
        return "(its mark cannot be read)"
    reason = REDACTOR.clean(exits.printable(mark.reason[:MAX_REASON_CHARS]))
    return f"since {began} ({reason})" if reason else f"since {began}"
