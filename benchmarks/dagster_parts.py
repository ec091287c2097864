"""What the benchmarks of a real deployment share: `dagster dev`, and what its processes use.

Dagster runs with the project's own dagster.yaml in a fresh DAGSTER_HOME; a source's run worker is
told by its run's log and is a descendant of that `dagster dev`.  Linux: /proc.  Seconds, bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import requests
from confluent_kafka.admin import AdminClient

from wildfire_ingest.config import build, loader
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.delivery import topics
from wildfire_ingest.errors import IngestError
from wildfire_ingest.simulator.demo_dagster import DagsterDev
from wildfire_ingest.simulator.demo_folder import KEPT_VARIABLE

DAGSTER_SETTINGS = Path(__file__).parent.parent / "dagster.yaml"
LAUNCHED_WITHIN_S = 120.0
STARTED_AS = re.compile(r"Started process for run \(pid: (\d+)\)")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A running `dagster dev` and the configuration that it has loaded."""

    dagster: DagsterDev
    config: StreamConfig
    environment: Mapping[str, str]
    home: Path

    def worker_of(self, source_id: str) -> Worker:
        """The process that streams a source.  Raises LookupError while there is none."""
        runs = self.dagster.runs(("STARTED",), job=f"continuous_{source_id}")
        for run in runs:
            said = (STARTED_AS.search(line) for line in self.dagster.run_log(run.run_id))
            pids = [int(found[1]) for found in said if found]
            if pids and pids[-1] in descendants(self.dagster.pid or 0):
                return Worker(run.run_id, pids[-1])
        raise LookupError(f"no run of {source_id} has started")


class Worker(NamedTuple):
    """A run and its process."""

    run_id: str
    pid: int


class Usage(NamedTuple):
    """What a process uses."""

    rss_bytes: int
    anonymous_bytes: int
    threads: int
    files: int
    cpu_s: float


@contextmanager
def deployed(folder: Path, settings: Mapping[str, Any], **secrets: str) -> Iterator[Deployed]:
    """Write the configuration, make its topics, start Dagster; all of Dagster ends with it."""
    home = folder / "home"
    home.mkdir(parents=True)
    shutil.copy(DAGSTER_SETTINGS, home / "dagster.yaml")
    file = folder / "stream_config.yaml"
    file.write_text(json.dumps(settings, indent=1))  # YAML too; yaml.dump would write anchors
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WILDFIRE_") or name == KEPT_VARIABLE
    }
    environment = {**kept, "DAGSTER_HOME": str(home), "WILDFIRE_CONFIG": str(file), **secrets}
    config = loader.load(file, environ=environment).config
    kafka = build.kafka_settings(config)
    wanted = topics.with_own_topics(build.topic_settings(config), kafka)
    topics.sync(AdminClient({"bootstrap.servers": kafka.bootstrap_servers}), wanted)
    dagster = DagsterDev(folder, environment)
    try:
        dagster.start()
        yield Deployed(dagster, config, environment, home)
    finally:
        dagster.stop()


def eventually(look: Callable[[], T], within_s: float, what: str) -> T:
    """What `look` gives once it gives something; it may fail meanwhile."""
    deadline, pause, last = time.monotonic() + within_s, threading.Event(), "it was not so"
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except (IngestError, LookupError, OSError, requests.RequestException) as error:
            last = f"{type(error).__name__}: {error}"
        pause.wait(0.5)
    raise SystemExit(f"{what}: not within {within_s:.0f} s ({last})")


def usage(pid: int) -> Usage:
    """Of one process, now.  Raises OSError when it is gone."""
    folder = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return Usage(
        rss_bytes=1024 * int(status["VmRSS"].split()[0]),
        anonymous_bytes=1024 * int(status["RssAnon"].split()[0]),
        threads=int(status["Threads"]),
        files=len(list((folder / "fd").iterdir())),
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
    )


def descendants(pid: int) -> set[int]:
    """A process, its children, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found, left = {pid}, [pid]
    while left:
        new = children.get(left.pop(), [])
        found.update(new)
        left += new
    return found


def busy_s() -> float:
    """CPU seconds that all processes of the machine have used."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and of all that descend from it, those that ended included."""
    total = 0.0
    for one in descendants(pid):
        try:
            fields = (Path("/proc") / str(one) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / TICKS_PER_S
    return total
