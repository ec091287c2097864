"""Loads that were spooled a moment ago and are still in memory: read without asking the disk.

A bounded copy of what the spool holds; a load that is not here is read from the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from wildfire_ingest.intake.load import Packed, Rows
from wildfire_ingest.record import Lane, Load

MAX_BYTES = 16 * 1024 * 1024


class Fresh:
    """Filled by the poller, emptied by the publishers."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: dict[tuple[Lane, int], tuple[Rows, int]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, loads: Sequence[Load], packed: Sequence[Packed]) -> None:
        """Keep what fits."""
        with self._lock:
            for load, p in zip(loads, packed, strict=True):
                if self._bytes + load.n_bytes <= self._max_bytes:
                    self._held[(load.lane, load.seq)] = (p.rows, load.n_bytes)
                    self._bytes += load.n_bytes

    @contextmanager
    def kept_if_done(self) -> Iterator[Callable[[Sequence[Load], Sequence[Packed]], None]]:
        """`keep`, undone when the block does not end well."""
        kept: list[Load] = []

        def keep(loads: Sequence[Load], packed: Sequence[Packed]) -> None:
            kept.extend(loads)
            self.keep(loads, packed)

        try:
            yield keep
        except BaseException:
            for load in kept:
                self.take(load)
            raise

    def take(self, load: Load) -> Rows | None:
        """The rows of a load, once; None where they must be read."""
        with self._lock:
            rows, n_bytes = self._held.pop((load.lane, load.seq), (None, 0))
            self._bytes -= n_bytes
            return rows

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0
