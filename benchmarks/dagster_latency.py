"""How soon an alert is visible through Dagster: from the HTTP answer's last byte to a consumer.

    python benchmarks/dagster_latency.py [--polls 200] [--rows 20000] [--only alone|saturated]

`dagster dev` with the project's dagster.yaml; the supervisor launches a continuous noaa_alerts
source that is polled every second, each answer with one new Red Flag Warning (CRITICAL lane).
Measured alone, and while a LOW source in a run of its own takes in so many new rows a second,
not throttled.  Exactly once, spool on the disk, Apache Kafka, a read_committed consumer, all on
one machine.  Milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_parts as parts
import dagster_parts
from confluent_kafka import Consumer, TopicPartition
from dagster_parts import Deployed

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.demo import interruptible
from wildfire_ingest.simulator.nws import NwsSimulator
from wildfire_ingest.simulator.nws_world import NwsWorldSettings
from wildfire_ingest.simulator.server import Reply, SimulatorServer

WARM_UP_POLLS = 10
ALERTS, BULK = "alerts", "bulk"
ALERTS_TOPIC, BULK_TOPIC = "wildfire-weather-alerts", "wildfire-bulk"
BULK_PARTITIONS = 4
ALERTS_EVERY_S, BULK_EVERY_S = 1.03, 1.0
"""Not the same: an alert then meets every moment of the other source's second in turn."""
FLOWS_WITHIN_S = 60.0
ORDER = b'{"event": "Red Flag Warning", "state": "CA", "life_s": 5}'
QUIET = NwsWorldSettings(states=("CA",), stations=1, events_per_minute=0.01)


class Warnings:
    """NWS, which issues one more warning whenever it is asked."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        """When the answer that brought it had left, by the alert's id."""
        self._site = NwsSimulator(QUIET, SystemClock().now_us())

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        """The alerts in force, a new one among them."""
        made = self._site.control("alert", ORDER)
        assert made is not None, "the simulator takes no alert"
        alert_id = json.loads(made.body)["properties"]["id"]
        reply = self._site.answer(path, headers, now_us)
        before = reply.on_sent

        def on_sent() -> None:
            if before is not None:
                before()
            self.sent[alert_id] = time.time()

        return Reply(reply.body, reply.status, reply.headers, reply.is_data, on_sent)

    def control(self, command: str, body: bytes) -> Reply | None:
        """NWS's own commands."""
        return self._site.control(command, body)

    def state(self) -> dict[str, Any]:
        """NWS's own truth."""
        return self._site.state()


class Bulk:
    """A static file whose rows are all new in every answer; one body with another latitude."""

    def __init__(self, rows: int) -> None:
        now = datetime.now(UTC)
        lines = [parts.HEADER]
        lines += [
            f"@@,{row * 360 / rows - 180:.5f},{295 + row % 7000 / 100:.2f},0.4,0.4,{now:%Y-%m-%d},"
            f"{int(f'{now:%H%M}')},N,VIIRS,n,2.0NRT,290.1,{row % 4000 / 100:.2f},D"
            for row in range(rows)
        ]
        self._body = "\n".join(lines).encode() + b"\n"
        self._answers = 0

    def answer(self, path: str, headers: Mapping[str, str], now_us: int) -> Reply:
        """The next rows."""
        del path, headers, now_us
        self._answers += 1
        return Reply(self._body.replace(b"@@", b"%.3f" % (self._answers / 1000)), is_data=True)

    def control(self, command: str, body: bytes) -> Reply | None:
        """No commands."""
        del command, body
        return None

    def state(self) -> dict[str, Any]:
        """How often it was asked."""
        return {"answers": self._answers}


@contextmanager
def bulk_server(rows: int) -> Iterator[str]:
    """The site in a process of its own; its address."""
    command = [sys.executable, __file__, "--serve-bulk", str(rows)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def serve_bulk(rows: int) -> None:
    """In that process: until it is killed."""
    with SimulatorServer(Bulk(rows)) as url:
        print(url, flush=True)
        threading.Event().wait()


class Arrivals(threading.Thread):
    """Reads committed alerts and notes when each has come."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "latency",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe([ALERTS_TOPIC])

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.is_set():
            message = self._consumer.poll(0.1)
            now = time.time()
            value = None if message is None or message.error() else message.value()
            if isinstance(value, bytes):
                self.seen.setdefault(json.loads(value)["alert_id"], now)
        self._consumer.close()

    def end(self) -> None:
        """Stop reading."""
        self._ended.set()
        self.join()


class Load:
    """What the machine and our parts of it do between two looks, in cores."""

    def __init__(self, deployment: Deployed, broker_pid: int, sources: list[str]) -> None:
        workers = {f"{name}'s worker": deployment.worker_of(name).pid for name in sources}
        self._pids = {
            **workers,
            "Kafka": broker_pid,
            "this script": os.getpid(),
        }
        self._dagster_pid = deployment.dagster.pid or 0
        self._began_s, self._before = time.monotonic(), self._used()

    def _used(self) -> dict[str, float]:
        single = {name: dagster_parts.usage(pid).cpu_s for name, pid in self._pids.items()}
        workers_s = sum(used for name, used in single.items() if "worker" in name)
        dagster_s = dagster_parts.tree_cpu_s(self._dagster_pid) - workers_s
        ours_s = dagster_parts.tree_cpu_s(os.getpid())
        return {
            **single,
            "the rest of Dagster": dagster_s,
            "others": dagster_parts.busy_s() - ours_s,
        }

    def text(self) -> str:
        """Cores in use since the beginning."""
        lasted_s, now = time.monotonic() - self._began_s, self._used()
        each = (f"{name} {(now[name] - was) / lasted_s:.2f}" for name, was in self._before.items())
        return f"cores in use, of {os.cpu_count()}: " + ", ".join(each)


def settings(bootstrap: str, alerts_url: str, bulk_url: str | None) -> dict[str, Any]:
    """stream_config.yaml: the alerts and, where there is an address of it, the bulk."""

    def continuous(every_s: float) -> dict[str, Any]:
        ingestion = {"mode": "continuous_streaming", "polling_interval_seconds": every_s}
        return {"cache_ttl_seconds": 0, "rate_limit_per_minute": 6000, "ingestion": ingestion}

    sources: dict[str, Any] = {
        ALERTS: {
            "source_type": "noaa_alerts",
            "topic": ALERTS_TOPIC,
            "base_url": alerts_url,
            "custom_params": {"state": "CA", "user_agent": "(benchmark, bench@example.org)"},
            **continuous(ALERTS_EVERY_S),
        }
    }
    if bulk_url is not None:
        sources[BULK] = {
            "source_type": "nasa_firms",
            "topic": BULK_TOPIC,
            "priority": "low",
            "base_url": bulk_url,
            "custom_params": {"product": "VIIRS_SNPP_NRT", "feed": "static"},
            **continuous(BULK_EVERY_S),
        }
    return {
        "kafka": {"bootstrap_servers": bootstrap, "compression_type": "zstd"},
        "throttling": {"max_send_rate": 0},
        "queue_max_size": 40_000,
        "state_dir": "state",
        "topics": {ALERTS_TOPIC: {"partitions": 2}, BULK_TOPIC: {"partitions": BULK_PARTITIONS}},
        "sources": sources,
    }


def end_of(consumer: Consumer) -> int:
    """The offsets of the bulk's topic, summed: its records, and a mark a transaction."""
    places = [TopicPartition(BULK_TOPIC, number) for number in range(BULK_PARTITIONS)]
    return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)


def measure(broker: ApacheKafka, folder: Path, options: argparse.Namespace, name: str) -> None:
    """One deployment from start to end; prints its percentiles."""
    site = Warnings()
    with ExitStack() as stack:
        bulk_url = None if name == "alone" else stack.enter_context(bulk_server(options.rows))
        url = stack.enter_context(SimulatorServer(site))
        deployment = stack.enter_context(
            dagster_parts.deployed(folder / name, settings(broker.bootstrap, url, bulk_url))
        )
        arrivals = Arrivals(broker.bootstrap)
        arrivals.start()
        stack.callback(arrivals.end)
        sources = [ALERTS] if bulk_url is None else [ALERTS, BULK]
        for source in sources:
            dagster_parts.eventually(
                lambda source=source: deployment.worker_of(source),  # type: ignore[misc]
                dagster_parts.LAUNCHED_WITHIN_S,
                f"the supervisor launches {source}",
            )
        counter = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "counter"})
        stack.callback(counter.close)
        dagster_parts.eventually(lambda: arrivals.seen, FLOWS_WITHIN_S, "alerts arrive")
        if bulk_url is not None:
            dagster_parts.eventually(lambda: end_of(counter), FLOWS_WITHIN_S, "the bulk flows")
        told = [f"load average {os.getloadavg()[0]:.1f} before"]
        load, began_s, bulk_before = (
            Load(deployment, broker.pid or 0, sources),
            time.monotonic(),
            end_of(counter) if bulk_url is not None else 0,
        )
        times = latencies(site, arrivals, options.polls)
        if bulk_url is not None:
            rate = (end_of(counter) - bulk_before) / (time.monotonic() - began_s)
            told.append(f"{BULK}: {rate:,.0f} records/s committed")
        told.append(load.text())
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    print(
        f"{name}: {len(times)} polls: p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f} ms,"
        f" p99 {cuts[98]:.0f} ms, max {max(times):.0f} ms"
    )
    print("\n".join(f"  {line}" for line in told), flush=True)


def latencies(site: Warnings, arrivals: Arrivals, polls: int) -> list[float]:
    """Of so many polls from now on, without the first few."""
    first = len(site.sent)
    pause, last = threading.Event(), first + WARM_UP_POLLS + polls
    deadline = time.monotonic() + 3 * (WARM_UP_POLLS + polls) + 60
    while len(site.sent) < last and time.monotonic() < deadline:
        pause.wait(0.5)
    wanted = list(site.sent.items())[first + WARM_UP_POLLS : last]
    deadline = time.monotonic() + 20
    while any(one not in arrivals.seen for one, _ in wanted) and time.monotonic() < deadline:
        pause.wait(0.1)
    lost = sum(one not in arrivals.seen for one, _ in wanted)
    if lost or len(wanted) < polls:
        raise SystemExit(f"{len(wanted)} polls of {polls}; {lost} alerts were not seen")
    return [(arrivals.seen[one] - at) * 1000 for one, at in wanted]


def main() -> None:
    """Print the percentiles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--polls", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000, help="new rows a second of the bulk")
    parser.add_argument("--only", choices=["alone", "saturated"])
    parser.add_argument("--serve-bulk", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bulk is not None:
        serve_bulk(options.serve_bulk)
        return
    folder = parts.broker_folder().with_name(f"latency-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    with interruptible(), ExitStack() as stack:
        for name in [options.only] if options.only else ["alone", "saturated"]:
            broker = ApacheKafka(folder / f"kafka-{name}")
            stack.callback(broker.stop)
            broker.start()
            measure(broker, folder, options, name)
            broker.stop()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
