"""Takes the README's pictures of a Dagster that runs, e.g. that of `make demo`.

    python -m wildfire_ingest_tests.browser.take_pictures http://127.0.0.1:3000 docs/pictures

Needs Chromium (Debian: `apt-get install chromium`).  Let the demo run for ten minutes first, so
that the plots have points.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from wildfire_ingest.simulator.dagster_api import DagsterApi, Location
from wildfire_ingest_tests.browser.chromium import Browser

SETTLE_S = 4.0
"""Plots and graphs move for a while after their words are there."""
MAX_BYTES = 250_000


class Picture(NamedTuple):
    """A page, and the words that show that it is complete; what is clicked, then scrolled to."""

    name: str
    path: str
    words: str
    click: str = ""
    scroll: str = ""


def pictures(found: Location) -> Iterator[Picture]:
    """Of a location with a continuous and a real_time source, the first of each."""
    place = f"/locations/{found.name}"
    stream = _one("continuous_", found.jobs)
    polled = _one("poll_", found.sensors)
    pages = {key[-1]: "/assets/" + "/".join(key) for key in found.assets}
    yield Picture("asset-graph", "/asset-groups", "topics", click="topics")
    yield Picture("asset", pages[polled], "Row count")
    yield Picture("plots", pages[stream], "Row count", click="Plots", scroll="records_per_s")
    yield Picture("runs", "/overview", f"continuous_{stream}", click="1hr")
    yield Picture("automation", "/automation", f"poll_{polled}")
    yield Picture("sensor", f"{place}/sensors/supervise_{stream}", "Latest tick")


def _one(prefix: str, names: frozenset[str]) -> str:
    """The source of the first such name."""
    return min(name for name in names if name.startswith(prefix)).removeprefix(prefix)


def take(url: str, folder: Path) -> None:
    """All of them into `folder`."""
    with closing(DagsterApi(url, location="")) as api:
        found = next(iter(api.locations().values()))
    pause = threading.Event()  # never set: only a wait
    with Browser() as browser:
        for one in pictures(found):
            browser.go(url + one.path)
            browser.wait_for(one.words)
            if one.click:
                pause.wait(SETTLE_S)
                browser.click(one.click)
            pause.wait(SETTLE_S)
            if one.scroll:
                browser.scroll_to(one.scroll)
                pause.wait(SETTLE_S)
            image = browser.picture()
            if len(image) > MAX_BYTES:
                raise SystemExit(f"{one.name}: {len(image):,} bytes, {MAX_BYTES:,} are allowed")
            (folder / f"{one.name}.png").write_bytes(image)


def main(arguments: Sequence[str]) -> None:
    """What the first lines of this file say."""
    if len(arguments) != 2:
        raise SystemExit("usage: take_pictures URL FOLDER")
    take(arguments[0], Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
