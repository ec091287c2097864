"""Tables on stdout: as wide as the terminal, and never cut where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNCUT_COLUMNS = 240


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Cells are text, whatever is in them."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The same, on stdout."""
    out().print(table_of(columns, rows))


def out() -> Console:
    """Stdout, with nothing made up."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNCUT_COLUMNS)
