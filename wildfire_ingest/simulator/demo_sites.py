"""The simulated APIs of a demo, and what was truly served to each of its sources.

The worlds' time can be made to stand still: what a poll that was cut short had been served is then
served once more, unchanged, and nothing is replaced unseen.  Microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_truth import Stream
from wildfire_ingest.simulator.nws_world import NwsWorldSettings
from wildfire_ingest.simulator.server import SimulatorServer, Site

FIRES = WorldSettings(
    rows_per_minute=600.0,
    keep_s=3600,
    granule_s=20,
    publish_after_s=(2, 10),
    reprocess_after_s=(60, 150),
    revised_share=0.05,
)
"""About 6 new rows a second for the two products, and as many again that replace them."""
WEATHER = NwsWorldSettings(
    interval_s=15,
    keep_s=900,
    publish_after_s=(2, 10),
    late_after_s=(20, 60),
    revise_after_s=15,
    events_per_minute=24.0,
    life_s=(60, 240),
)
"""Each minute some 32 observations and 15 alerts of the one state that is asked for."""
STREAMS: Mapping[str, Stream] = {"noaa_alerts": "alerts", "noaa_weather": "observations"}
"""What of the NWS site a source type is served."""


class Served(Protocol):
    """Knows what was served: `distinct_rows`, `value_changes`."""

    def state(self) -> Mapping[str, Any]: ...


class WorldClock:
    """The time of day, until it is stopped."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._stopped_us: int | None = None

    def now_us(self) -> int:
        return self._clock.now_us() if self._stopped_us is None else self._stopped_us

    def stop(self) -> None:
        """It is now from now on."""
        self._stopped_us = self.now_us()


@dataclass(frozen=True, slots=True)
class NwsServed:
    """One stream of an NWS site."""

    site: NwsSimulator
    stream: Stream

    def state(self) -> Mapping[str, Any]:
        counts: Mapping[str, Any] = self.site.state()[self.stream]
        return counts


class DemoSites:
    """A FIRMS of its own for each FIRMS source, one NWS for the others."""

    def __init__(self, source_types: Mapping[str, str]) -> None:
        """`source_types` by source id."""
        self._clock = WorldClock()
        start_us = self._clock.now_us()
        nws = NwsSimulator(WEATHER, start_us, now_us=self._clock.now_us)
        self._sites: dict[str, Site] = {}
        self.served: dict[str, Served] = {}
        for source_id, source_type in source_types.items():
            if source_type in STREAMS:
                self._sites[source_id] = nws
                self.served[source_id] = NwsServed(nws, STREAMS[source_type])
            else:
                fires = FirmsSimulator(FIRES, start_us)
                self._sites[source_id] = self.served[source_id] = fires
        self._stack = ExitStack()

    def start(self) -> dict[str, str]:
        """Listen; the base_url of each source."""
        urls: dict[int, str] = {}
        for site in self._sites.values():
            if id(site) not in urls:
                server = SimulatorServer(site, now_us=self._clock.now_us)
                self._stack.callback(server.stop)
                urls[id(site)] = server.start()
        return {source_id: urls[id(site)] for source_id, site in self._sites.items()}

    def freeze(self) -> None:
        """Time stands still: the same question has the same answer from now on."""
        self._clock.stop()

    def stop(self) -> None:
        """Close the ports."""
        self._stack.close()
