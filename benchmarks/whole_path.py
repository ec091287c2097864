"""From HTTP answer to committed in Kafka: the whole path against what a user would write.

    python benchmarks/whole_path.py [--polls 10] [--rows 20000] [--rounds 3] [--compression zstd]

The variants on one Apache Kafka, in turn, in each round: `bare` produces the same bytes,
prepared beforehand; `plain` is requests + csv.DictReader + json.dumps + produce(), no guarantee;
`whole` is this product, exactly_once, its spool on the disk; `headers` the same with two headers
a record (kafka.envelope: plain).  Ratios are of medians.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_parts as parts
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from wildfire_ingest.assembly import running_source
from wildfire_ingest.config.loader import load
from wildfire_ingest.delivery import topics
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.intake.identity import ValueWriter, identify
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.sources.firms_csv import read_csv


def producer(bootstrap: str, compression: str) -> Producer:
    """What both scripts without guarantee send with."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": compression,
            "linger.ms": 20,
        }
    )


def plain_record(row: dict[str, str]) -> dict[str, Any]:
    """A typed record with an ISO time, as a user's own script would write it."""
    acquired = row["acq_time"].zfill(4)
    return {
        "source": "firms",
        "satellite": row["satellite"],
        "instrument": row["instrument"],
        "latitude": float(row["latitude"]),
        "longitude": float(row["longitude"]),
        "observed_at": f"{row['acq_date']}T{acquired[:2]}:{acquired[2:]}:00Z",
        "bright_ti4": float(row["bright_ti4"]),
        "bright_ti5": float(row["bright_ti5"]),
        "scan": float(row["scan"]),
        "track": float(row["track"]),
        "frp": float(row["frp"]),
        "confidence": row["confidence"],
        "version": row["version"],
        "daynight": row["daynight"],
    }


def job_plain(a: dict[str, Any]) -> dict[str, Any]:
    """The plain script: nothing survives a kill."""
    out = producer(a["bootstrap"], a["compression"])
    session = requests.Session()
    cpu, begin = time.process_time(), time.monotonic()
    records = 0
    for _ in range(a["polls"]):
        body = session.get(a["url"] + "/data.csv", timeout=30).text
        for row in csv.DictReader(io.StringIO(body)):
            key = f"{row['latitude']},{row['longitude']}"
            value = json.dumps(plain_record(row))
            while True:
                try:
                    out.produce(a["topic"], value.encode(), key.encode())
                    break
                except BufferError:
                    out.poll(0.05)
            out.poll(0)
            records += 1
    out.flush()
    return {"records": records, "s": time.monotonic() - begin, "cpu_s": time.process_time() - cpu}


def job_bare(a: dict[str, Any]) -> dict[str, Any]:
    """produce() of the bytes that the whole path sends, prepared beforehand."""
    rows = [pair for number in range(a["polls"]) for pair in whole_rows(number, a["rows"])]
    out = producer(a["bootstrap"], a["compression"])
    out.list_topics(a["topic"])
    cpu, begin = time.process_time(), time.monotonic()
    for n, (key, value) in enumerate(rows):
        while True:
            try:
                out.produce(a["topic"], value, key)
                break
            except BufferError:
                out.poll(0.05)
        if not n % 1024:
            out.poll(0)
    out.flush()
    return {"records": len(rows), "s": time.monotonic() - begin, "cpu_s": time.process_time() - cpu}


def whole_rows(number: int, rows: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of one poll, as the product writes them."""
    records = read_csv(parts.viirs_poll(number, rows)).records
    found = identify("nasa_firms", records)
    writer = ValueWriter("bench", int(datetime.now(UTC).timestamp()))
    return [
        (r.partition_key, writer.write(found.hex_ids[32 * n : 32 * n + 32], r, content, 0))
        for n, (r, content) in enumerate(zip(records, found.contents, strict=True))
    ]


def configuration(a: dict[str, Any], folder: Path, *, lane: str) -> Any:
    """One continuous source of the benchmark's server."""
    file = folder / "stream_config.yaml"
    file.write_text(
        f"""
kafka:
  bootstrap_servers: '{a["bootstrap"]}'
  compression_type: {a["compression"]}
  envelope: {a.get("envelope", "bare")}
throttling: {{max_send_rate: 0}}
state_dir: {folder}/state
queue_max_size: 40000
topics: {{{a["topic"]}: {{partitions: {parts.PARTITIONS}}}}}
sources:
  bench:
    source_type: nasa_firms
    topic: {a["topic"]}
    priority: {lane}
    base_url: {a["url"]}
    cache_ttl_seconds: 0
    rate_limit_per_minute: 60000
    ingestion: {{mode: continuous_streaming, polling_interval_seconds: 1}}
    custom_params: {{product: VIIRS_SNPP_NRT, feed: static}}
"""
    )
    return load(file, environ={}).config


def job_whole(a: dict[str, Any]) -> dict[str, Any]:
    """The product: spooled with an fsync, exactly once."""
    with tempfile.TemporaryDirectory(dir=a["folder"]) as folder:
        config = configuration(a, Path(folder), lane="low")
        stop = threading.Event()
        watch = Stopwatch()
        with running_source(
            config, "bench", observer=watch, continuous=True, replace=in_a_row(a["polls"], stop)
        ) as engine:
            started = time.monotonic()
            engine._settings = replace(  # noqa: SLF001 - the configuration's least is 1 s
                engine._settings,  # noqa: SLF001
                polling_interval_s=0.0,
            )
            engine.run_forever(stop)
            return {
                "records": watch.published,
                "s": watch.done_at - watch.began_at,
                "cpu_s": watch.done_cpu - watch.began_cpu,
                "start_s": watch.began_at - started,
            }


def in_a_row(polls: int, stop: threading.Event) -> Callable[[Parts], Parts]:
    """Makes the engine stop after so many polls; the rest is delivered then."""

    def replaced(parts: Parts) -> Parts:
        return replace(parts, fetcher=Counted(parts.fetcher, polls, stop))

    return replaced


class Counted:
    """The real fetcher, which asks for the end after so many answers."""

    def __init__(self, fetcher: Any, polls: int, stop: threading.Event) -> None:
        self._fetcher = fetcher
        self._left = polls
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real one's."""
        return getattr(self._fetcher, name)

    def fetch(self, request: Any, **how: Any) -> Any:
        """Ask, and count."""
        self._left -= 1
        answer = self._fetcher.fetch(request, **how)
        if not self._left:
            self._stop.set()
        return answer


class Stopwatch:
    """From the end of recovery (the first request follows at once) to the last commit."""

    def __init__(self) -> None:
        self.published = 0
        self.began_at = self.done_at = self.began_cpu = self.done_cpu = 0.0

    def emit(self, event: Any) -> None:
        """Note the times."""
        if type(event).__name__ == "Recovered":
            self.began_at, self.began_cpu = time.monotonic(), time.process_time()
        if type(event).__name__ == "Published":
            self.published += event.records
            self.done_at, self.done_cpu = time.monotonic(), time.process_time()


JOBS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "bare": job_bare,
    "plain": job_plain,
    "whole": job_whole,
    "headers": lambda a: job_whole({**a, "envelope": "plain"}),
}


def run_round(bootstrap: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Each variant once, in a process of its own."""
    results = {}
    for job in JOBS:
        with parts.poll_server(options.polls, options.rows) as url:
            results[job] = parts.measured(
                __file__,
                job,
                bootstrap=bootstrap,
                topic=parts.fresh_topic(bootstrap, f"bench-{job}"),
                url=url,
                polls=options.polls,
                rows=options.rows,
                compression=options.compression,
                folder=str(folder),
            )
    return results


def show(rounds: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Medians and ratios."""
    print(
        f"{options.polls} polls of {options.rows} rows, {options.compression}, medians of", end=""
    )
    print(f" {len(rounds)} rounds in one run")
    rate, cpu = {}, {}
    for job in JOBS:
        runs = [r[job] for r in rounds]
        rate[job] = statistics.median(r["records"] / r["s"] for r in runs)
        cpu[job] = statistics.median(r["cpu_s"] / r["records"] * 100_000 for r in runs)
        rss = max(r["rss_mb"] for r in runs)
        print(
            f"  {job:10} {rate[job]:9.0f} records/s  {cpu[job]:5.2f} CPU-s/100k  {rss:5.0f} MB peak"
        )
    start_s = statistics.median(r["whole"]["start_s"] for r in rounds)
    print(f"  (whole: {start_s:.2f} s before that to lock, recover and claim)")
    for job in ("whole", "headers"):
        print(f"  {job}/plain: rate {rate[job] / rate['plain']:.2f}", end=", ")
        print(f"CPU {cpu[job] / cpu['plain']:.2f}; {job}/bare: rate {rate[job] / rate['bare']:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compression", default="zstd")
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--arguments", default="{}")
    options = parser.parse_args()
    if options.job:
        parts.report(lambda: JOBS[options.job](json.loads(options.arguments)))
        return
    folder = parts.broker_folder()
    broker = ApacheKafka(folder / "kafka")
    bootstrap = broker.start()
    try:
        own = topics.offsets_topic("wildfire-ingest-offsets", 1)
        topics.sync(AdminClient({"bootstrap.servers": bootstrap}), [own])
        show([run_round(bootstrap, options, folder) for _ in range(options.rounds)], options)
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
