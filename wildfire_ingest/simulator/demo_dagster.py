"""`dagster dev` as a child process: webserver, daemon and code server of the demo.

Seconds.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import requests

from wildfire_ingest.simulator.brokers_process import LOOPBACK, ServerProcess, free_ports
from wildfire_ingest.simulator.dagster_api import UNFINISHED, DagsterApi, DagsterRefused, Run
from wildfire_ingest.simulator.demo_folder import DemoFailed

__all__ = ["LOCATION", "UNFINISHED", "DagsterDev", "DagsterRefused", "Run"]
LOCATION = "wildfire_ingest.definitions"
USUAL_PORT = 3000
START_WAIT_S = 120.0
STOP_WAIT_S = 15.0


class DagsterDev(DagsterApi):
    """Webserver, daemon and code server, on 127.0.0.1; asked by GraphQL while they run."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._port = USUAL_PORT if _is_free(USUAL_PORT) else free_ports(1)[0]
        super().__init__(f"http://{LOOPBACK}:{self._port}", location=LOCATION)
        self._folder = folder
        self._environment = dict(environment)
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> str:
        """Start, and wait until the definitions are loaded; the UI's address.

        `dagster dev` makes the storage of a new DAGSTER_HOME before it starts anything else; its
        services, each started by itself, would all make it at once and spoil it.
        """
        command = [sys.executable, "-m", "dagster", "dev", "-m", LOCATION]
        command += ["-h", LOOPBACK, "-p", str(self._port), "--log-level", "warning"]
        log = self._folder / "dagster.log"
        self._process = ServerProcess(command, log=log, cwd=self._folder, env=self._environment)
        deadline, pause = time.monotonic() + START_WAIT_S, threading.Event()
        while time.monotonic() < deadline:
            if not self._process.is_running:
                raise DemoFailed(f"Dagster ended while starting; see {log}")
            if self._is_ready():
                return self.url
            pause.wait(0.25)
        raise DemoFailed(f"Dagster was not ready within {START_WAIT_S:.0f} s; see {log}")

    def switch_off(self) -> None:
        """Every schedule and sensor; runs that they have started go on, but for long ones.

        A continuous source's run notices that its sensor is off, drains and ends.
        """
        location = self.locations()[self.location]
        for name in sorted(location.schedules):
            self.stop_schedule(self.toggle(name, ticks=1).state_id)
        for name in sorted(location.sensors):
            self.stop_sensor(self.toggle(name, ticks=1).state_id)

    def stop(self) -> None:
        """End it and all its runs as Ctrl-C would; after a while by force."""
        self.close()
        if self._process is None:
            return
        self._process.signal(signal.SIGINT)
        deadline, pause = time.monotonic() + STOP_WAIT_S, threading.Event()
        while self._has_members() and time.monotonic() < deadline:
            pause.wait(0.1)
        self._process.stop()

    def _has_members(self) -> bool:
        """Whether a process of the group lives; a run may outlive `dagster dev` by its drain."""
        if self._process is None or self._process.is_running:
            return self._process is not None
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _is_ready(self) -> bool:
        """Whether the definitions are there.  Raises DemoFailed where they cannot be loaded."""
        try:
            found = self.locations().values()
        except (requests.RequestException, KeyError, DagsterRefused):
            return False
        for one in found:
            if one.error is not None:
                raise DemoFailed(f"Dagster cannot load the definitions: {one.error}")
        return bool(found) and all(one.is_loaded for one in found)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) != 0
