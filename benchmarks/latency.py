"""How soon a detection is visible: from the HTTP answer's last byte to a read_committed consumer.

    python benchmarks/latency.py [--polls 60] [--every-ms 300] [--compression zstd]

CRITICAL lane, exactly_once, spool on the disk, Apache Kafka, continuous engine; polls of 1 and of
100 rows.  The server notes when an answer has left it; a consumer in this process notes when the
poll's last row has come.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_parts as parts
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from whole_path import configuration

from wildfire_ingest.assembly import running_source
from wildfire_ingest.delivery import topics
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.server import Reply, SimulatorServer

WARM_UP_POLLS = 5


class Paced:
    """A site of the simulator's server: every answer has other rows, its time is noted."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.answered: list[float] = []

    def answer(self, path: str, headers: Any, now_us: int) -> Reply:
        """Rows whose latitude says which poll they are of."""
        del path, headers, now_us
        number = len(self.answered)
        now = datetime.now(UTC)
        lines = [parts.HEADER]
        lines += [
            f"{number / 1000:.3f},{row / 1000:.3f},330.1,0.4,0.4,{now:%Y-%m-%d},"
            f"{int(f'{now:%H%M}')},N,VIIRS,n,2.0NRT,290.1,5.2,D"
            for row in range(self._rows)
        ]
        body = "\n".join(lines).encode() + b"\n"
        return Reply(body, on_sent=lambda: self.answered.append(time.time()))

    def control(self, command: str, body: bytes) -> None:
        """No commands."""

    def state(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}


class Arrivals(threading.Thread):
    """Reads committed records and notes when each poll was complete."""

    def __init__(self, bootstrap: str, topic: str, rows: int) -> None:
        super().__init__(daemon=True)
        self.seen: dict[int, float] = {}
        self._rows = rows
        self._counts: dict[int, int] = {}
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "latency",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 500,
            }
        )
        self._consumer.subscribe([topic])

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.is_set():
            message = self._consumer.poll(0.1)
            now = time.time()
            value = None if message is None or message.error() else message.value()
            if not isinstance(value, bytes):
                continue
            at = value.index(b'"latitude":') + len(b'"latitude":')
            poll = round(float(value[at : value.index(b",", at)]) * 1000)
            self._counts[poll] = self._counts.get(poll, 0) + 1
            if self._counts[poll] == self._rows:
                self.seen[poll] = now
        self._consumer.close()

    def end(self) -> None:
        """Stop reading."""
        self._ended.set()
        self.join()


def measure(bootstrap: str, rows: int, options: argparse.Namespace, folder: Path) -> list[float]:
    """Latencies in milliseconds, one a poll, the first few left out."""
    site = Paced(rows)
    topic = parts.fresh_topic(bootstrap, f"latency-{rows}")
    stop = threading.Event()
    arrivals = Arrivals(bootstrap, topic, rows)
    arrivals.start()
    with SimulatorServer(site) as url, tempfile.TemporaryDirectory(dir=folder) as place:
        arguments = {"bootstrap": bootstrap, "topic": topic, "url": url}
        arguments["compression"] = options.compression
        config = configuration(arguments, Path(place), lane="critical")
        with running_source(config, "bench", continuous=True) as engine:
            engine._settings = replace(  # noqa: SLF001 - the configuration's least is 1 s
                engine._settings,  # noqa: SLF001
                polling_interval_s=options.every_ms / 1000,
            )
            engine.run_forever(
                stop, for_s=(options.polls + WARM_UP_POLLS) * options.every_ms / 1000
            )
    deadline = time.monotonic() + 10
    while len(arrivals.seen) < len(site.answered) and time.monotonic() < deadline:
        arrivals.join(0.1)
    arrivals.end()
    lost = len(site.answered) - len(arrivals.seen)
    if lost:
        raise SystemExit(f"{lost} polls were not seen complete")
    times = [(arrivals.seen[n] - at) * 1000 for n, at in enumerate(site.answered)]
    return times[WARM_UP_POLLS:]


def main() -> None:
    """Print the percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=60)
    parser.add_argument("--every-ms", type=int, default=300)
    parser.add_argument("--compression", default="zstd")
    options = parser.parse_args()
    folder = parts.broker_folder()
    broker = ApacheKafka(folder / "kafka")
    bootstrap = broker.start()
    try:
        own = topics.offsets_topic("wildfire-ingest-offsets", 1)
        topics.sync(AdminClient({"bootstrap.servers": bootstrap}), [own])
        for rows in (1, 100):
            times = measure(bootstrap, rows, options, folder)
            cuts = statistics.quantiles(times, n=100)
            print(
                f"{rows:3} rows a poll, {len(times)} polls: p50 {cuts[49]:.1f} ms, "
                f"p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(times):.1f} ms"
            )
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
