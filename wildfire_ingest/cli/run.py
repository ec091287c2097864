"""`wildfire-ingest run`: sources without Dagster, each in its thread, until told to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click
import msgspec

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import chosen, config_of
from wildfire_ingest.cli.progress import REFRESH_S, shown
from wildfire_ingest.cli.source_run import SourceRun, Work, flat
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.observe.log import EventLog

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--once", is_flag=True, help="One poll; ends when all that waits is delivered.")
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Poll at the interval for so long, then deliver what waits.  Default: for ever.",
)
@click.pass_context
def command(ctx: click.Context, sources: tuple[str, ...], once: bool, for_s: float | None) -> int:
    """Run each SOURCE: ask its API, deliver to Kafka, exactly once.

    SIGINT or SIGTERM ends it in good order (what waits is delivered, or stays spooled); a second
    one aborts.  A source that is paused ends in the same good order, or does not begin; the
    others go on.  At the end one JSON line per source goes to stdout.
    """
    if once and for_s is not None:
        raise click.UsageError("--once and --for exclude each other: give one of them")
    config = config_of(ctx)
    names = chosen(config, sources)
    for one in names:
        if not config.sources[one].enabled:
            exits.say_line(
                f"note: {one} is disabled (enabled: false): it runs as it was named here"
            )
    work: Work = (
        (lambda engine, stop: engine.run_once(stop))
        if once
        else (lambda engine, stop: engine.run_forever(stop, for_s))
    )
    endless = not once and for_s is None
    return watched([SourceRun(config, one, work, EventLog(), continuous=endless) for one in names])


def watched(runs: Sequence[SourceRun]) -> int:
    """Start the runs, show them until all have ended, print the summaries; the exit code."""
    stops = [run.stop for run in runs]
    with stopped_by_signals(*stops), shown(runs, SystemClock().monotonic_us) as refresh:
        for run in runs:
            run.start()
        while not all(run.join(REFRESH_S) for run in runs):
            for run in runs:
                run.heed_pause()
            refresh()
    for run in runs:
        if run.summary is not None:
            line = msgspec.json.encode(flat(run.summary)).decode()
            click.echo(REDACTOR.clean(line))
    for run in runs:
        if run.error is not None:
            exits.say_error(run.error, f"{run.source_id}: ")
        elif run.code and run.summary is not None:
            reasons = [run.summary.message, *run.summary.ledger_faults]
            exits.say_line(f"error: {run.source_id}: {'; '.join(filter(None, reasons))}")
        elif run.paused is not None and run.summary is not None and run.summary.message:
            exits.say_line(
                f"{run.source_id}: {run.summary.message}; `wildfire-ingest resume "
                f"{run.source_id}` lets it run again"
            )
    return max(run.code for run in runs)


@contextmanager
def stopped_by_signals(*stops: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets every stop, the second ends the process at once."""
    asked = threading.Event()  # a stop may have been set for another reason

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            # What was spooled is safe at any instant; the next start settles the rest.
            os.write(2, b"aborted; what waits stays in the spool\n")
            os._exit(exits.INTERRUPTED)
        for event in (asked, *stops):
            event.set()

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
