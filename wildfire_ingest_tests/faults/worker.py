"""The process that fault tests kill: one source, run as a job says, its outcome line by line.

Every line of the outcome file is one JSON object, written with one write(2), so that what stands
there survives SIGKILL.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from wildfire_ingest import assembly
from wildfire_ingest.clock import SystemClock
from wildfire_ingest.config.loader import load
from wildfire_ingest.delivery import client_config
from wildfire_ingest.engine.crash import CrashPoints
from wildfire_ingest.engine.events import Event, Spooled
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.errors import IngestError

PR_SET_PDEATHSIG = 1
Mode = Literal["once", "replay", "forever"]


class ShiftedClock(SystemClock):
    """The machine's clock, begun at another time: recordings are replayed at their own."""

    def __init__(self, now_us: int) -> None:
        self._shift_us = now_us - super().now_us()

    def now_us(self) -> int:
        return super().now_us() + self._shift_us


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker does."""

    config: Path
    source_id: str
    outcome: Path
    now_us: int
    simulator: str
    mode: Mode = "once"
    """replay: poll on; the simulator goes to its next recording when one is spooled (T1)."""
    crash: str = ""
    stand_still: str = ""
    """The crash point at which it stops itself (SIGSTOP), the first time."""
    take_over: bool = False
    engine: dict[str, Any] = field(default_factory=dict)
    """Fields of EngineSettings that differ."""
    client: dict[str, int] = field(default_factory=dict)
    """Constants of client_config that differ, to shorten waits."""


class StandStill(CrashPoints):
    """Also stops this process at a point; it goes on after SIGCONT."""

    def __init__(self, point: str, crash: str) -> None:
        super().__init__(crash)
        self._point = point

    def __call__(self, name: str) -> None:
        if name == self._point:
            self._point = ""
            os.kill(os.getpid(), signal.SIGSTOP)
        super().__call__(name)


class Outcome:
    """Observer that appends to the outcome file and drives a replay."""

    def __init__(self, job: Job, stop: threading.Event) -> None:
        self._file = os.open(job.outcome, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._job = job
        self._stop = stop

    def write(self, kind: str, **values: object) -> None:
        line = json.dumps({"kind": kind, "pid": os.getpid(), **values}, default=str)
        os.write(self._file, line.encode() + b"\n")

    def emit(self, event: Event) -> None:
        self.write(type(event).__name__, **dataclasses.asdict(event))
        if isinstance(event, Spooled) and self._job.mode == "replay":
            self._advance()

    def _advance(self) -> None:
        base = f"{self._job.simulator}/_simulator"
        with urllib.request.urlopen(f"{base}/next", data=b"", timeout=10):
            pass
        with urllib.request.urlopen(f"{base}/state", timeout=10) as answer:
            if json.load(answer)["at_end"]:
                self._stop.set()


def run(job: Job) -> None:
    """Do the job in this process; dies with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for name, value in job.client.items():
        setattr(client_config, name, value)
    settings_of = assembly.engine_settings
    assembly.engine_settings = lambda *args, **kwargs: dataclasses.replace(
        settings_of(*args, **kwargs), **job.engine
    )
    if job.stand_still:
        setattr(assembly, "CrashPoints", partial(StandStill, job.stand_still))  # noqa: B010 - mypy
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    outcome = Outcome(job, stop)
    began = time.monotonic()
    try:
        with assembly.running_source(
            load(job.config, environ={}).config,
            job.source_id,
            observer=outcome,
            clock=ShiftedClock(job.now_us),
            environ={assembly.CRASH_VARIABLE: job.crash},
            permissions=Permissions(take_over=job.take_over),
            continuous=job.mode != "once",
        ) as engine:
            outcome.write("running")
            match job.mode:
                case "once":
                    summary = engine.run_once(stop)
                case _:
                    summary = engine.run_forever(stop)
    except IngestError as error:
        outcome.write("refused", error=type(error).__name__, message=str(error))
        return
    done = dataclasses.asdict(summary)
    outcome.write("summary", **done, took_s=time.monotonic() - began)
