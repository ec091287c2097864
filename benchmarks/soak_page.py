"""The page of a soak: what was sampled at some moments, how it grows, and the design's figures.

Samples in, Markdown out.  Bytes and seconds.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

WARM_UP_S = 600.0
MIB, HOUR_S, DAY_S = 2**20, 3600.0, 86_400.0
Sample = dict[str, float]


class Measure(NamedTuple):
    """One line of the table."""

    name: str
    label: str
    unit: float = 1.0
    digits: int = 0


MEASURES = (
    Measure("rss", "run worker: resident memory, MiB", MIB, 1),
    Measure("anonymous", "of it not of files, MiB", MIB, 1),
    Measure("threads", "threads"),
    Measure("files", "open files"),
    Measure("cpu_s", "CPU, s", 1.0, 1),
    Measure("home", "DAGSTER_HOME on the disk, MiB", MIB, 2),
    Measure("history", "history: runs and events (SQLite), MiB", MIB, 2),
    Measure("index", "of it index.db, MiB", MIB, 2),
    Measure("schedules", "schedules: ticks of the sensor (SQLite), MiB", MIB, 2),
    Measure("logs", "compute logs, MiB", MIB, 3),
    Measure("spool", "spool (SQLite), MiB", MIB, 2),
    Measure("state", "state_dir on the disk, write-ahead log included, MiB", MIB, 2),
    Measure("materializations", "materializations"),
    Measure("records", "records served: new or changed rows"),
)
PAGE = """\
# A continuous source for {length}

What one continuous source costs while it runs: the memory, threads and files of its run worker, Dagster's storage, and whether all that was served is in Kafka once.

```
python benchmarks/soak.py --seconds {seconds:.0f}
```

Real `dagster dev` with the project's `dagster.yaml` (SQLite) and a fresh DAGSTER_HOME; Apache Kafka; a simulated FIRMS API that gives some {rate:.0f} new or changed rows a second and is polled every {poll:g} s; exactly once, the spool on the disk; a materialization every 60 s, the default.
The supervising sensor launches the run. A sample every {sample_s:.0f} s. The worker is measured from outside, in /proc. SQLite's files are counted by their pages, whatever its write-ahead log has at the moment.
Slopes are linear fits over the samples after {warm_up} of warm-up. {runs}

{table}

The memory's growth is that of the whole process: materializations (events stay in the run's memory until it ends, after some six hours), the index of ids (24 bytes a record), and what the allocator does not give back. The sensor's ticks are pruned by `retention` in `dagster.yaml`, so their file stops growing after two days; the history's events stay until their run is deleted.

Beside the figures that the design was made with (the same storage, ten metadata entries a materialization):

{beside}

{verdict}

Measured {when} on {cores} shared cores; load average {load}.
"""  # noqa: E501 - Markdown: a sentence is not broken


def slope_per_s(samples: Sequence[Sample], name: str) -> float | None:
    """Of the least squares' line; None where there are too few samples."""
    found = [(one["at_s"], one[name]) for one in samples if name in one]
    if len(found) < 3:
        return None
    return statistics.linear_regression(*zip(*found, strict=True)).slope


def moments(samples: Sequence[Sample]) -> list[tuple[str, Sample]]:
    """The table's columns: the samples nearest to what their heads say."""
    last_s = samples[-1]["at_s"]
    wanted = [("start", 0.0), ("10 min", 600.0), ("30 min", 1800.0), ("end", last_s)]
    return [
        (head, min(samples, key=lambda one: abs(one["at_s"] - at_s)))
        for head, at_s in wanted
        if at_s < last_s or head == "end"
    ]


def table_of(samples: Sequence[Sample], warm: Sequence[Sample]) -> str:
    """What was measured at some moments, and how it grows."""
    columns = moments(samples)
    half_s = samples[-1]["at_s"] / 2
    late = [one for one in warm if one["at_s"] >= half_s]
    heads = ["", *(head for head, _ in columns), "an hour", "an hour, by the 2nd half", "a day"]
    lines = [heads, ["---"] * len(heads)]
    for one in MEASURES:
        values = [
            f"{at[one.name] / one.unit:,.{one.digits}f}" if one.name in at else "?"
            for _, at in columns
        ]
        digits = max(1, one.digits)
        grown = [
            "?" if slope is None else f"{slope * span_s / one.unit:+,.{digits}f}"
            for slope, span_s in (
                (slope_per_s(warm, one.name), HOUR_S),
                (slope_per_s(late, one.name), HOUR_S),
                (slope_per_s(warm, one.name), DAY_S),
            )
        ]
        lines.append([one.label, *values, *grown])
    return markdown(lines)


def beside_of(warm: Sequence[Sample]) -> str:
    """The design's figures and ours."""
    slopes = {one.name: slope_per_s(warm, one.name) or 0.0 for one in MEASURES}
    each_s = slopes["materializations"]

    def each(name: str) -> str:
        return f"{slopes[name] / each_s / 1024:.1f} KiB" if each_s else "?"

    a_day = slopes["history"] * DAY_S / 1e6
    rows = [
        ["", "design", "here"],
        ["---"] * 3,
        ["history, a materialization", "9.0 KB", each("history")],
        ["history, a day at one every 60 s", "12.9 MB", f"{a_day:.1f} MB"],
        ["worker's memory, a materialization", "3.7 to 4.2 KB", f"{each('anonymous')}, all growth"],
    ]
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the second row is the line under its head."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def page(samples: Sequence[Sample], verdict: str, *, poll_every_s: float) -> str:
    """docs/soak.md."""
    last_s, pids = samples[-1]["at_s"], [one["pid"] for one in samples if "pid" in one]
    warm_up_s = min(WARM_UP_S, last_s / 3)
    warm = [
        one for one in samples if one["at_s"] >= warm_up_s and pids and one.get("pid") == pids[-1]
    ]
    loads = sorted(one["load"] for one in samples if "load" in one) or [0.0]
    runs = len(set(pids))
    gaps = [later["at_s"] - one["at_s"] for one, later in itertools.pairwise(samples)]
    return PAGE.format(
        length="an hour" if round(last_s) == HOUR_S else f"{last_s / 60:.0f} minutes",
        seconds=round(last_s),
        rate=slope_per_s(warm, "records") or 0.0,
        poll=poll_every_s,
        sample_s=statistics.median(gaps) if gaps else 0.0,
        warm_up=f"{warm_up_s / 60:.0f} minutes" if warm_up_s >= 60 else f"{warm_up_s:.0f} s",
        runs="One run worked all the time." if runs == 1 else f"{runs} runs; slopes of the last.",
        table=table_of(samples, warm),
        beside=beside_of(warm),
        verdict=verdict,
        when=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        load=f"{loads[len(loads) // 2]:.1f} (at most {loads[-1]:.1f})",
    )
