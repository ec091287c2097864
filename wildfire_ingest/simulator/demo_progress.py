"""How a demo's sources stand: which modes have brought data, the last runs, records a second.

Pure.  Seconds; `now_s` is since the epoch for runs, of any steady clock elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from wildfire_ingest.config.source import Mode
from wildfire_ingest.simulator.dagster_api import Run
from wildfire_ingest.simulator.demo_sources import MODES, DemoSource

RATE_OVER_S = 60.0
"""A batch source delivers once a minute: a shorter look would show nothing or everything."""
LIVE = "STARTED"


class Pace:
    """Records a second over the last minute, from how many there are now and then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, records: int) -> float | None:
        """Remember, and tell; None before there is anything to compare with."""
        self._seen.append((now_s, records))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= RATE_OVER_S:  # noqa: PLR2004 - a pair
            self._seen.popleft()
        first_s, before = self._seen[0]
        return (records - before) / (now_s - first_s) if now_s > first_s else None


FIRST_WAIT_S = 180.0
"""How long the modes may take to materialize once."""


class Firsts:
    """When each mode had materialized first: one of its sources is enough."""

    def __init__(self, sources: Sequence[DemoSource], began_s: float) -> None:
        self._sources = sources
        self._began_s = began_s
        self.came_s: dict[Mode, float] = {}

    def look(self, is_materialized: Callable[[DemoSource], bool], now_s: float) -> list[Mode]:
        """Ask about the modes that are missing; those that have come."""
        came = [
            mode
            for mode in self.missing
            if any(is_materialized(one) for one in self._sources if one.mode == mode)
        ]
        self.came_s.update(dict.fromkeys(came, now_s))
        return came

    @property
    def missing(self) -> list[Mode]:
        """Modes that have not materialized yet."""
        wanted = {one.mode for one in self._sources}
        return [mode for mode in MODES if mode in wanted and mode not in self.came_s]

    def complaint(self, now_s: float) -> str:
        """Which modes have not come in time; empty while there is time."""
        if not self.missing or now_s - self._began_s <= FIRST_WAIT_S:
            return ""
        return f"no materialization of {', '.join(self.missing)} within {FIRST_WAIT_S:.0f} s"

    @property
    def last_s(self) -> float | None:
        """When the last of them came; None while one is missing."""
        return None if self.missing else max(self.came_s.values(), default=0.0)


def last_run(runs: Iterable[Run], job: str, now_s: float, *, streams: bool = False) -> str:
    """How the latest run of a job stands; `runs` are newest first."""
    for run in runs:
        if run.job == job:
            return _stands(run, now_s, streams=streams)
    return "none yet"


def _stands(run: Run, now_s: float, *, streams: bool) -> str:
    status = run.status.lower()
    if streams and run.status == LIVE and run.started_s is not None:
        return f"streaming {max(0.0, now_s - run.started_s):.0f} s"
    return status if run.ended_s is None else f"{status} {max(0.0, now_s - run.ended_s):.0f} s ago"
