"""Everything that one source runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wildfire_ingest.clock import Clock
from wildfire_ingest.engine.events import Observer
from wildfire_ingest.engine.ports import Fetcher, Lag, Sink, Source
from wildfire_ingest.intake.intake import Intake
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.record import Load


class Archive(Protocol):
    """Where evicted loads are kept for `overflow replay`; durable when it returns."""

    def append(
        self,
        source_id: str,
        load: Load,
        *,
        ids: bytes,
        payload: bytes,
        reason: str,
        now_us: int,
    ) -> None:
        """Keep one load.  Raises OSError where it cannot be kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Assembly makes the real ones, `testing` the fakes."""

    source: Source
    fetcher: Fetcher
    intake: Intake
    spool: Spool
    sink: Sink
    lag: Lag
    archive: Archive
    observer: Observer
    clock: Clock
    crash: Callable[[str], None]
