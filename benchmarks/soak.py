"""What an hour of a continuous source costs, and whether all of it arrives.

    python benchmarks/soak.py [--seconds 3600] [--sample-s 30] [--out docs/soak.md]
    python benchmarks/soak.py --again FOLDER/samples.jsonl --out docs/soak.md

`dagster dev` with the project's dagster.yaml, Apache Kafka, one FIRMS source that its supervisor
launches.  Every sample is written to a file at once, and `--again` makes the page of such a file:
an hour is not lost to one failure.  Bytes and seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_parts as parts
import dagster_parts
from dagster_parts import Deployed
from soak_page import HOUR_S, MEASURES, Sample, page

import wildfire_ingest
from wildfire_ingest.assembly import running_source
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.demo import comparison, interruptible
from wildfire_ingest.simulator.demo_reader import Found, TopicReader
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings
from wildfire_ingest.simulator.server import SimulatorServer

SOURCE, TOPIC = "soak", "wildfire-nasa-firms"
WORLD = WorldSettings(
    rows_per_minute=1000.0,
    keep_s=600,
    granule_s=20,
    publish_after_s=(2, 10),
    reprocess_after_s=(60, 150),
    overlap_s=3600,
    revised_share=0.05,
)
"""One product has a fifth of it, and nearly as many rows that replace them: 6 new rows a second."""
POLL_EVERY_S = 5
TERMINATED_WITHIN_S = 60.0


class Soak:
    """One deployment under observation."""

    def __init__(self, deployment: Deployed, site: FirmsSimulator, file: Path) -> None:
        self._deployment = deployment
        self._site = site
        self._file = file
        self._began_s = time.monotonic()

    def watch(self, seconds: float, every_s: float) -> None:
        """Sample until the time is over; a part that fails is left out of its sample."""
        due_s, pause = self._began_s, threading.Event()
        while due_s <= self._began_s + seconds:
            pause.wait(max(0.0, due_s - time.monotonic()))
            self.sample()
            due_s = max(due_s + every_s, time.monotonic())

    def sample(self) -> None:
        """One line in the file of samples, and one on the screen."""
        sample: Sample = {"at_s": time.monotonic() - self._began_s}
        look: Callable[[], Sample]
        for look in (self._worker, self._storage, self._served):
            try:
                sample |= look()
            except Exception as error:  # noqa: BLE001 - the next sample may succeed
                print(f"{look.__name__}: {type(error).__name__}: {error}", flush=True)
        with self._file.open("a") as file:
            file.write(json.dumps(sample) + "\n")
        shown = (one for one in MEASURES if one.name in sample)
        line = "  ".join(f"{m.name} {sample[m.name] / m.unit:.{m.digits}f}" for m in shown)
        print(f"{sample['at_s']:6.0f} s  {line}", flush=True)

    def _worker(self) -> Sample:
        worker = self._deployment.worker_of(SOURCE)
        used = dagster_parts.usage(worker.pid)
        return {
            "pid": worker.pid,
            "rss": used.rss_bytes,
            "anonymous": used.anonymous_bytes,
            "threads": used.threads,
            "files": used.files,
            "cpu_s": used.cpu_s,
            "load": os.getloadavg()[1],
        }

    def _storage(self) -> Sample:
        home = self._deployment.home
        index = home / "history" / "runs" / "index.db"
        return {
            "home": size_of(home),
            "history": sum(map(pages_of, (home / "history").rglob("*.db"))),
            "index": pages_of(index),
            "schedules": sum(map(pages_of, (home / "schedules").rglob("*.db"))),
            "logs": size_of(home / "storage"),
            "state": size_of(self._deployment.config.state_dir),
            "spool": pages_of(self._deployment.config.state_dir / f"{SOURCE}.db"),
            "materializations": materializations(index),
        }

    def _served(self) -> Sample:
        return {"records": self._site.state()["expected_records"]}

    def terminate(self) -> str:
        """End the run as the UI's Terminate does; how long that took."""
        dagster, run_id = self._deployment.dagster, self._deployment.worker_of(SOURCE).run_id
        began_s = time.monotonic()
        dagster.terminate(run_id)
        dagster_parts.eventually(
            lambda: dagster.run(run_id).status == "CANCELED", TERMINATED_WITHIN_S, "Terminate"
        )
        return f"Terminate ended the run after {time.monotonic() - began_s:.1f} s."


def size_of(folder: Path) -> int:
    """Of its files; one that goes away meanwhile does not count."""

    def sizes() -> Iterator[int]:
        for path in folder.rglob("*"):
            try:
                yield path.lstat().st_size if not path.is_dir() else 0
            except FileNotFoundError:
                continue

    return sum(sizes())


def pages_of(database: Path) -> int:
    """A SQLite database's size, what is still in its write-ahead log included."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as opened:
        pages: int = opened.execute("PRAGMA page_count").fetchone()[0]
        page_bytes: int = opened.execute("PRAGMA page_size").fetchone()[0]
    return pages * page_bytes


def materializations(index: Path) -> int:
    """How many Dagster has stored."""
    query = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=10)) as opened:
        count: int = opened.execute(query).fetchone()[0]
    return count


def settings(bootstrap: str, url: str) -> dict[str, Any]:
    """stream_config.yaml: the defaults, and one continuous source."""
    return {
        "kafka": {"bootstrap_servers": bootstrap, "compression_type": "zstd"},
        "state_dir": "state",
        "topics": {TOPIC: {"partitions": 4}},
        "sources": {
            SOURCE: {
                "source_type": "nasa_firms",
                "topic": TOPIC,
                "base_url": url,
                "cache_ttl_seconds": 0,
                "ingestion": {
                    "mode": "continuous_streaming",
                    "polling_interval_seconds": POLL_EVERY_S,
                },
                "custom_params": {
                    "product": "VIIRS_SNPP_NRT",
                    "feed": "static",
                    "static_region": "Global",
                },
            }
        },
    }


def verdict_of(deployment: Deployed, site: FirmsSimulator) -> str:
    """Take in what was served last, then Kafka's content against what was served."""
    with running_source(deployment.config, SOURCE, environ=deployment.environment) as engine:
        engine.run_once()
    kafka = deployment.config.kafka
    reader = TopicReader(kafka.bootstrap_servers, [TOPIC], kafka.dlq_topic)
    with closing(reader):
        found = reader.read_to_end().get(SOURCE, Found())
    both = comparison(SOURCE, site, found)
    faults = "; ".join(both.disagreements())
    return (
        f"Served {both.served_rows:,} distinct rows, of which {both.served_changes:,} changed"
        f" once more; Kafka holds {both.distinct_ids:,} ids with {both.revisions:,} revisions,"
        f" {both.dead} dead letters, {both.duplicates} records twice: "
        + (f"DISAGREES: {faults}." if faults else "each exactly once.")
    )


def soak(options: argparse.Namespace) -> tuple[list[Sample], str]:
    """Start all, watch, end all; the samples, and what Kafka holds in words."""
    folder = parts.broker_folder().with_name(f"soak-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    folder.mkdir(parents=True)
    file, verdict = folder / "samples.jsonl", []
    print(f"{wildfire_ingest.__file__}\nsamples: {file}", flush=True)
    with ExitStack() as stack:
        broker = ApacheKafka(folder / "kafka")
        stack.callback(broker.stop)
        bootstrap = broker.start()
        site = FirmsSimulator(WORLD, SystemClock().now_us())
        url = stack.enter_context(SimulatorServer(site))
        with dagster_parts.deployed(folder, settings(bootstrap, url)) as deployment:
            print(f"Dagster: {deployment.dagster.url}", flush=True)
            dagster_parts.eventually(
                lambda: deployment.worker_of(SOURCE),
                dagster_parts.LAUNCHED_WITHIN_S,
                "the supervisor launches the run",
            )
            watched = Soak(deployment, site, file)
            watched.watch(options.seconds, options.sample_s)
            verdict.append(tried(watched.terminate))
        verdict.append(tried(lambda: verdict_of(deployment, site)))
    (folder / "verdict.txt").write_text("\n".join(verdict))
    return read(file), "\n".join(verdict)


def tried(end: Callable[[], str]) -> str:
    """What it says, also where it fails: the samples must become a page."""
    try:
        return end()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - said on the page
        return f"FAILED: {type(error).__name__}: {error}"


def read(file: Path) -> list[Sample]:
    """The samples of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def main() -> None:
    """Soak and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=HOUR_S)
    parser.add_argument("--sample-s", type=float, default=30.0)
    parser.add_argument("--out", type=Path, help="where the page is written")
    parser.add_argument("--again", type=Path, help="the samples of a soak that has been")
    options = parser.parse_args()
    if options.again is None:
        with interruptible():
            samples, verdict = soak(options)
    else:
        told = options.again.with_name("verdict.txt")
        samples = read(options.again)
        verdict = told.read_text() if told.exists() else "Not compared: it did not come to its end."
    text = page(samples, verdict, poll_every_s=POLL_EVERY_S)
    print(text)
    if options.out is not None:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
