"""What a large window costs: polls of new rows and of repeats, with an empty and a full index.

    python benchmarks/growth.py [--ids 10000000] [--polls 20] [--rows 20000]

In one process, without broker: answer read, identified, judged, packed, spooled with an fsync and
remembered.  The index holds the ids of the days before; repeats are polls served again.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import bench_parts as parts
import numpy as np

from wildfire_ingest.intake.intake import Intake, IntakeSettings
from wildfire_ingest.intake.load import ID_ROW
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.record import Body, Lane
from wildfire_ingest.sources.nasa_firms import FirmsSettings, NasaFirms

WINDOW_S = 8 * 86_400


class OneTopic:
    """Routes of a source without rules."""

    def topic(self, body_type: type[Body]) -> str:
        """The same for all."""
        del body_type
        return "bench"

    def lane(self, body_type: type[Body]) -> Lane:
        """The same for all."""
        del body_type
        return Lane.LOW

    def count(self, body_type: type[Body], records: int) -> None:
        """Not counted."""

    def resolutions(self) -> dict[str, int]:
        """Not counted."""
        return {}


def old_ids(count: int) -> np.ndarray:
    """Ids of rows accepted earlier, spread over the window's days."""
    draw = np.random.default_rng(1)
    rows = np.zeros(count, ID_ROW)
    rows["hi"] = draw.integers(0, 2**63, count, np.uint64)
    rows["lo"] = draw.integers(0, 2**63, count, np.uint64)
    rows["observed_s"] = int(time.time()) - draw.integers(0, WINDOW_S - 3600, count)
    return rows


def run(ids: int, polls: int, rows: int) -> tuple[float, float]:
    """Rows/s of new polls and of repeats with so many ids in the window."""
    settings = IntakeSettings(
        source_id="bench",
        source_type="nasa_firms",
        window_s=WINDOW_S,
        default_lane=Lane.LOW,
        default_topic="bench",
        dlq_topic="dead",
        max_records_per_load=5000,
    )
    intake = Intake(settings, OneTopic())
    if ids:
        intake.restore(np.array_split(old_ids(ids), ids // 5000))
    source = NasaFirms(
        FirmsSettings(
            source_id="bench",
            product="VIIRS_SNPP_NRT",
            area="world",
            day_range=1,
            map_key=None,
            feed="static",
        )
    )
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent.parent) as folder:
        spool = Spool(
            SpoolSettings(directory=Path(folder) / "s", source_id="bench", window_s=WINDOW_S)
        )
        bodies = [parts.viirs_poll(number, rows) for number in range(5)]
        new_s = sum(take_in(source, intake, spool, body) for body in bodies)
        again_s = sum(take_in(source, intake, spool, bodies[n % 5]) for n in range(polls))
        spool.close()
    return len(bodies) * rows / new_s, polls * rows / again_s


def take_in(source: NasaFirms, intake: Intake, spool: Spool, body: bytes) -> float:
    """Seconds of one poll, from its body to its rows durable."""
    begin = time.monotonic()
    now_us = time.time_ns() // 1000
    weighed = intake.weigh(source.read(body), now_us)
    spool.append(weighed.packed, b"{}", weighed.counts, now_us)
    intake.remember(weighed, now_us)
    return time.monotonic() - begin


def main() -> None:
    """Print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--polls", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    for ids in (0, options.ids):
        new, again = run(ids, options.polls, options.rows)
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{ids:>10,} ids in the window: new rows {new:7.0f}/s, repeats {again:7.0f}/s "
            f"(ratio {again / new:.2f}), peak RSS {rss_mb:.0f} MB"
        )


if __name__ == "__main__":
    main()
