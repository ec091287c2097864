"""What a person sees while sources run: a table on a terminal, log lines anywhere else.

Everything goes to stderr; stdout is for the summaries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wildfire_ingest.cli.source_run import SourceRun
from wildfire_ingest.clock import SECOND_US
from wildfire_ingest.fetch import redact

REFRESH_S = 0.5
_COLUMNS = ("source", "state", "polls", "fetched", "published", "per s", "dead", "pending", "lag")


class ConsoleLog(logging.Handler):
    """Log records above the live table, as plain text."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(Text(self.format(record)), soft_wrap=True)


class Rates:
    """Records per second of each source, between two looks."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int, float]] = {}

    def per_s(self, source_id: str, published: int, now_us: int) -> float:
        """The rate since the last look that was at least a second ago."""
        then_us, before, rate = self._last.get(source_id, (now_us, published, 0.0))
        if now_us - then_us >= SECOND_US:
            rate = (published - before) * SECOND_US / (now_us - then_us)
            self._last[source_id] = (now_us, published, rate)
        elif source_id not in self._last:
            self._last[source_id] = (now_us, published, 0.0)
        return rate


def table(runs: Sequence[SourceRun], rates: Rates, now_us: int) -> Table:
    """Where each source stands."""
    out = Table(*_COLUMNS, box=None, pad_edge=False)
    for run in runs:
        out.add_row(*map(Text, _cells(run, rates, now_us)))
    return out


def _cells(run: SourceRun, rates: Rates, now_us: int) -> list[str]:
    found = run.so_far()
    if found is None:
        return [run.source_id, "starting", *[""] * 7]
    throttle = "running" if found.throttle_state == "NORMAL" else found.throttle_state.lower()
    state = found.ending if run.summary else throttle
    published = found.ledger.published
    return [
        run.source_id,
        state,
        f"{found.polls}" + (f" ({found.failed_polls} failed)" if found.failed_polls else ""),
        f"{found.ledger.fetched:,}",
        f"{published:,}",
        f"{rates.per_s(run.source_id, published, now_us):,.1f}",
        f"{found.ledger.dead:,}",
        f"{found.ledger.pending:,}",
        "" if found.consumer_lag is None else f"{found.consumer_lag:,}",
    ]


@contextmanager
def shown(
    runs: Sequence[SourceRun], monotonic_us: Callable[[], int]
) -> Iterator[Callable[[], None]]:
    """Log and, on a terminal, a live table; yields what refreshes it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with logged(logging.StreamHandler(), logging.INFO):
            yield lambda: None
        return
    rates = Rates()
    with (
        Live(console=console, auto_refresh=False) as live,
        logged(ConsoleLog(console), logging.WARNING),
    ):
        yield lambda: live.update(table(runs, rates, monotonic_us()), refresh=True)
        live.update(table(runs, rates, monotonic_us()), refresh=True)


@contextmanager
def logged(handler: logging.Handler, level: int) -> Iterator[None]:
    """The package's log to `handler`, without secrets, for as long as this lasts."""
    log = logging.getLogger("wildfire_ingest")
    before = log.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    redact.install(handler)
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
