"""What the benchmarks share: polls of VIIRS rows, a server for them, a broker, a measured child.

Every variant runs in a process of its own, so that CPU seconds and peak RSS are its own; the
server of the answers and the broker are other processes.  Rates are records/s from the first
request to the last acknowledged commit.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

HEADER = (
    "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,"
    "version,bright_ti5,frp,daynight"
)
PARTITIONS = 8


def viirs_poll(number: int, rows: int) -> bytes:
    """One answer of the area API: `rows` distinct detections of now, other ones per number."""
    draw = random.Random(number)
    now = datetime.now(UTC)
    date, clock = now.strftime("%Y-%m-%d"), str(int(now.strftime("%H%M")))
    lines = [HEADER]
    for row in range(rows):
        latitude = 25 + (number * rows + row) * 0.00001
        lines.append(
            f"{latitude:.5f},{draw.uniform(-125, -66):.5f},{draw.uniform(295, 367):.2f},"
            f"{draw.uniform(0.3, 0.8):.2f},{draw.uniform(0.3, 0.8):.2f},{date},{clock},N,VIIRS,"
            f"{draw.choice('lnh')},2.0NRT,{draw.uniform(270, 310):.2f},{draw.uniform(0, 40):.2f},"
            f"{draw.choice('DN')}"
        )
    return "\n".join(lines).encode() + b"\n"


class PollServer:
    """Answers each request with the next poll; the last one again when they are used up."""

    def __init__(self, polls: list[bytes]) -> None:
        self._polls = polls
        self._next = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = owner.take()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain;charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self) -> bytes:
        body = self._polls[min(self._next, len(self._polls) - 1)]
        self._next += 1
        return body

    def serve(self) -> None:
        self._server.serve_forever()


@contextmanager
def poll_server(polls: int, rows: int) -> Iterator[str]:
    """The server in a process of its own; its base URL."""
    command = [sys.executable, __file__, "serve", str(polls), str(rows)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def fresh_topic(bootstrap: str, name: str) -> str:
    """Create a topic for one run."""
    topic = f"{name}-{time.monotonic_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    return topic


def measured(script: str, job: str, **arguments: object) -> dict[str, float]:
    """Run one variant in a child; what `report` printed there."""
    command = [sys.executable, script, "--job", job, "--arguments", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise SystemExit(f"{job} failed:\n{done.stderr}")
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def report(work: Callable[[], dict[str, Any]]) -> None:
    """In the child: run the work and print its seconds, CPU seconds and peak RSS."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    result = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result.setdefault("cpu_s", cpu_s)
    print(json.dumps({**result, "rss_mb": after.ru_maxrss / 1024}))


def broker_folder() -> Path:
    """Where the benchmark's broker lives: an ignored folder of the project."""
    return Path(__file__).parent.parent / ".wildfire" / "bench" / str(time.monotonic_ns())


if __name__ == "__main__":
    _, _, n_polls, n_rows = sys.argv
    server = PollServer([viirs_poll(k, int(n_rows)) for k in range(int(n_polls))])
    print(server.base_url, flush=True)
    server.serve()
