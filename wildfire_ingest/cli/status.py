"""`wildfire-ingest status`: where each source stands; reads only, works while sources run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import msgspec
from rich.console import Group
from rich.live import Live
from rich.text import Text

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.configuration import config_of
from wildfire_ingest.cli.run import stopped_by_signals
from wildfire_ingest.cli.status_rows import COLUMNS, cells, remarks
from wildfire_ingest.cli.tables import out, table_of
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.fetch.redact import REDACTOR
from wildfire_ingest.observe.lag_view import Lags
from wildfire_ingest.observe.status import SourceStatus, as_json, status

WATCH_S = 2.0
Show = Callable[[list[SourceStatus]], None]


@click.command()
@click.option("--json", "wants_json", is_flag=True, help="One JSON object per source.")
@click.option(
    "--lag/--no-lag",
    "wants_lag",
    default=None,
    help="Ask the brokers for the consumer lag.  Default: where consumer groups are configured.",
)
@click.option(
    "--watch",
    "watch_s",
    type=click.FloatRange(min=0.1, max=3600),
    is_flag=False,
    flag_value=WATCH_S,
    metavar="[SECONDS]",
    help=f"Look again every so many seconds, until Ctrl-C; {WATCH_S:g} when none are given.",
)
@click.pass_context
def command(
    ctx: click.Context, wants_json: bool, wants_lag: bool | None, watch_s: float | None
) -> int:
    """Show each source: whether it runs, what it has done and how fast, what waits, how fresh.

    Also whether it is paused, whether its API may be asked, and how far its consumers are behind.
    Ends with code 1 where a source's state file is damaged.
    """
    config = config_of(ctx)
    look = _look(config, wants_lag=wants_lag)
    if watch_s is None:
        found = look()
        (_print_json if wants_json else _print)(found)
        return _code(found)
    stop = threading.Event()
    with stopped_by_signals(stop), _shown(wants_json=wants_json) as show:
        while True:
            found = look()
            show(found)
            if SystemClock().wait(stop, watch_s):
                return _code(found)


def _look(config: StreamConfig, *, wants_lag: bool | None) -> Callable[[], list[SourceStatus]]:
    """What reads every source's state now."""
    asks = bool(config.throttling.consumer_groups) if wants_lag is None else wants_lag
    lags = Lags(config) if asks else None

    def look() -> list[SourceStatus]:
        lag = lags.read() if lags else None
        now_us = SystemClock().now_us()
        return [status(config, source_id, now_us, lag) for source_id in config.sources]

    return look


def _code(found: list[SourceStatus]) -> int:
    return exits.WRONG if any(one.damage for one in found) else exits.OK


@contextmanager
def _shown(*, wants_json: bool) -> Iterator[Show]:
    """Redrawn in place on a terminal; one look after the other anywhere else."""
    console = out()
    if wants_json or not console.is_terminal:
        yield _print_json if wants_json else _print
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda found: live.update(_drawn(found), refresh=True)


def _print_json(found: list[SourceStatus]) -> None:
    for one in found:
        click.echo(REDACTOR.clean(msgspec.json.encode(as_json(one)).decode()))


def _print(found: list[SourceStatus]) -> None:
    out().print(_drawn(found), soft_wrap=True)


def _drawn(found: list[SourceStatus]) -> Group:
    lines = (
        REDACTOR.clean(exits.printable(f"{one.source_id}: {line}"))
        for one in found
        for line in remarks(one)
    )
    return Group(table_of(COLUMNS, map(cells, found)), *map(Text, lines))
