"""What a person sees of the demo: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wildfire_ingest.simulator.demo_verdict import Comparison

PLAIN_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One source, now."""

    source_id: str
    mode: str
    served: int
    """Distinct rows."""
    ids: int
    """Distinct records in Kafka, whatever their revisions."""
    dead: int
    last_run: str
    """Or for how long it has been streaming."""
    lag: int | None
    records_per_s: float | None
    """Over the last minute; None while it is not known."""


class Screen:
    """Prints; with a terminal it keeps one table up to date below what was printed."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.heading = ""
        """Stands above the live table."""
        self._live: Live | None = None
        self._last_plain_s = 0.0

    def say(self, text: str) -> None:
        """One message."""
        self.console.print(Text(text), soft_wrap=True)

    def show(self, standings: Sequence[Standing], now_s: float) -> None:
        """The sources as they stand; `now_s` is any steady clock's."""
        if self.console.is_terminal:
            if self._live is None:
                self._live = Live(console=self.console, auto_refresh=False)
                self._live.start()
            self._live.update(live_table(standings, self.heading), refresh=True)
        elif now_s - self._last_plain_s >= PLAIN_EVERY_S:
            self._last_plain_s = now_s
            for one in standings:
                self.say("  " + "  ".join(plain_cells(one)))

    def close(self) -> None:
        """Leave the last table standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show_verdict(self, comparisons: Iterable[Comparison]) -> None:
        """The summary at the end."""
        table = _plain_table(None)
        table.add_column("source", no_wrap=True)
        for name in ("rows served", "ids in Kafka", "changes", "revisions", "twice", "dead"):
            table.add_column(name, justify="right")
        for one in comparisons:
            numbers = (
                *(one.served_rows, one.distinct_ids, one.served_changes, one.revisions),
                *(one.duplicates, one.dead),
            )
            table.add_row(one.source_id, *(f"{number:,}" for number in numbers))
        self.console.print(table)


def live_table(standings: Sequence[Standing], heading: str = "") -> Table:
    """The table of the running demo; 80 columns are enough."""
    table = _plain_table(Text(heading) if heading else None)
    table.add_column("source", no_wrap=True)
    table.add_column("mode", no_wrap=True)
    for name in ("served", "in Kafka", "dead"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last run", no_wrap=True)
    for name in ("lag", "rec/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in standings:
        table.add_row(*map(Text, cells(one)))
    return table


def _plain_table(title: Text | None) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="",
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )


def cells(one: Standing) -> tuple[str, ...]:
    """A source's row."""
    return (
        one.source_id,
        one.mode.removesuffix("_streaming"),
        f"{one.served:,}",
        f"{one.ids:,}",
        f"{one.dead:,}",
        one.last_run,
        "?" if one.lag is None else f"{one.lag:,}",
        "?" if one.records_per_s is None else f"{one.records_per_s:.1f}",
    )


def plain_cells(one: Standing) -> tuple[str, ...]:
    """A source's row with its words, for a log."""
    source_id, mode, served, records, dead, last_run, lag, pace = cells(one)
    words = (f"served {served}", f"in Kafka {records}", f"dead {dead}", f"run {last_run}")
    return (source_id, mode, *words, f"lag {lag}", f"{pace} records/s")
