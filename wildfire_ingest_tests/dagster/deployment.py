"""Dagster as in production: a code server for each location, the daemon and the webserver.

Each in a process group of its own, all on 127.0.0.1, started anew within RESTART_S of its end as
systemd would, on the same port, until stop().  Dagster's settings are the project's own.  Seconds.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

import dagster as dg
import pytest
import requests
import yaml

from wildfire_ingest.simulator.brokers_process import LOOPBACK, ServerProcess, free_ports
from wildfire_ingest.simulator.dagster_api import DagsterApi, DagsterRefused

MODULE = "wildfire_ingest.definitions"
SETTINGS = Path(__file__).parents[2] / "dagster.yaml"
START_WAIT_S = 90.0
STOP_WAIT_S = 15.0
RESTART_S = 0.2
DAEMON, WEBSERVER = "daemon", "webserver"
STARTED_AS = re.compile(r"Started process for run \(pid: (\d+)\)")
Scope = Literal["group", "process"]
T = TypeVar("T")


class Live(NamedTuple):
    """A living process, as /proc tells it."""

    pid: int
    group: int
    parent: int
    rss_bytes: int
    threads: int
    command: str
    environment: tuple[bytes, ...]


class Deployment:
    """One Dagster instance; `locations` has each code location's environment.

    `kill(name)` takes a location's name, "daemon" or "webserver".
    """

    def __init__(
        self,
        folder: Path,
        locations: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
        *,
        command: Literal["api grpc", "code-server start"] = "code-server start",
        module: str = MODULE,
    ) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(SETTINGS.read_text())
        self._folder = folder
        self._environment = {**environment, "DAGSTER_HOME": str(self.home)}
        self._locations = dict(locations)
        self._ports = dict(
            zip([WEBSERVER, *locations], free_ports(len(locations) + 1), strict=True)
        )
        self._code_server = [*command.split(), "-m", module, "--log-level", "warning"]
        self._lock = threading.RLock()
        self._running: dict[str, ServerProcess] = {}
        self._held: set[str] = set()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="deployment", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports[WEBSERVER]}"

    def api(self, location: str | None = None) -> DagsterApi:
        """GraphQL, for one code location; the first one if none is named."""
        return DagsterApi(self.url, location=location or next(iter(self._locations)))

    def start(self) -> None:
        """Everything up at once; returns when every location is loaded."""
        self._write_workspace()
        self._make_storage()
        try:
            for name in (*self._locations, WEBSERVER, DAEMON):
                self._spawn(name)
            self._watcher.start()
            eventually(self.is_ready, START_WAIT_S, "Dagster is ready")
        except BaseException:
            self.stop()
            raise

    def is_ready(self) -> bool:
        """Whether the webserver has loaded every location.  Fails where one never will be."""
        api = self.api()
        with contextlib.closing(api):
            try:
                found = api.locations()
            except (requests.RequestException, DagsterRefused):
                return False
        for one in found.values():
            assert one.error is None or "Unreachable" in one.error, one.error
        return len(found) == len(self._locations) and all(one.is_loaded for one in found.values())

    def kill(self, name: str, scope: Scope = "group") -> int:
        """SIGKILL, as kill -9 or the memory killer does; the pid that died.

        `group` takes run workers with their code server (systemd, a container's end), `process`
        leaves them behind as orphans.  Either is started again.
        """
        with self._lock:
            process = self._running[name]
            if scope == "group":
                process.signal(signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)
            return process.pid

    @contextlib.contextmanager
    def held_down(self, name: str, scope: Scope = "group") -> Iterator[int]:
        """Killed, and not started again before the end of the block."""
        self._held.add(name)
        try:
            yield self.kill(name, scope)
        finally:
            self._held.discard(name)

    def pid_of(self, name: str) -> int:
        return self._running[name].pid

    def is_up(self, name: str) -> bool:
        with self._lock:
            return self._running[name].is_running

    def worker_pid(self, run_id: str) -> int | None:
        """The process that works at a run; None where it is not, or no longer, there."""
        with contextlib.closing(self.api()) as api:
            said = [STARTED_AS.search(line) for line in api.run_log(run_id)]
        pids = [int(found[1]) for found in said if found]
        ours = {process.pid for process in self.processes()}
        return pids[-1] if pids and pids[-1] in ours else None

    def kill_worker(self, run_id: str) -> int:
        """SIGKILL to a run's process; its pid."""
        pid = self.worker_pid(run_id)
        assert pid is not None, f"run {run_id} has no process"
        os.kill(pid, signal.SIGKILL)
        return pid

    def processes(self) -> list[Live]:
        """Every living process that was started here or by one that was.

        Told by their environment: a process's number is soon another's.
        """
        mark = f"DAGSTER_HOME={self.home}".encode()
        return [process for process in living() if mark in process.environment]

    def rss_bytes(self) -> dict[str, int]:
        """Resident memory: of each name's whole group, run workers as `worker:<pid>`."""
        with self._lock:
            names = {process.pid: name for name, process in self._running.items()}
        sums: dict[str, int] = {}
        for process in self.processes():
            is_worker = "multiprocessing.spawn" in process.command
            name = f"worker:{process.pid}" if is_worker else names.get(process.group, "orphans")
            sums[name] = sums.get(name, 0) + process.rss_bytes
        return sums

    def stop(self) -> None:
        """End all as systemd would: SIGTERM, later SIGKILL.  Raises where a process is left."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join(STOP_WAIT_S)
        self._signal_all(signal.SIGTERM)
        deadline, pause = time.monotonic() + STOP_WAIT_S, threading.Event()
        while self.processes() and time.monotonic() < deadline:
            self._reap()
            pause.wait(0.1)
        self._signal_all(signal.SIGKILL)
        self._reap()
        eventually(lambda: not self.processes(), 5, "every process is gone")

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def _reap(self) -> None:
        for process in self._running.values():
            _ = process.is_running

    def _write_workspace(self) -> None:
        entries = [
            {"grpc_server": {"host": LOOPBACK, "port": self._ports[name], "location_name": name}}
            for name in self._locations
        ]
        (self._folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": entries}))

    def _make_storage(self) -> None:
        """Before the first process: several that make Dagster's SQLite files at once spoil them."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            instance.get_run_records(limit=1)

    def _spawn(self, name: str) -> None:
        environment = {**self._environment, **self._locations.get(name, {})}
        process = ServerProcess(
            [sys.executable, "-m", *self._command(name)],
            log=self._folder / f"{name}.log",
            cwd=self._folder,
            env=environment,
        )
        with self._lock:
            self._running[name] = process

    def _command(self, name: str) -> list[str]:
        workspace = ["-w", "workspace.yaml"]
        if name == DAEMON:
            return ["dagster._daemon", "run", *workspace]
        at = ["-h", LOOPBACK, "-p", str(self._ports[name])]
        if name == WEBSERVER:
            return ["dagster_webserver", *at, *workspace, "--log-level", "warning"]
        return ["dagster", *self._code_server, *at, "--location-name", name]

    def _watch(self) -> None:
        while not self._stopping.wait(RESTART_S):
            for name, process in list(self._running.items()):
                if not process.is_running and name not in self._held:
                    self._spawn(name)


def eventually(condition: Callable[[], T | None], wait_s: float, what: str = "") -> T:
    """The first true answer; the test fails when there is none in time."""
    deadline, pause = time.monotonic() + wait_s, threading.Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {wait_s} s: {what or condition}")
        pause.wait(0.1)


def living() -> list[Live]:
    """Every process of the machine but those that are dead and not waited for."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # gone between two reads
            found.append(_live(folder))
    return [process for process in found if process is not None]


def _live(folder: Path) -> Live | None:
    # Fields of proc_pid_stat(5) after the name, which may hold anything: state is the first.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return Live(
        pid=int(folder.name),
        group=int(fields[2]),
        parent=int(fields[1]),
        rss_bytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        threads=int(fields[17]),
        command=command,
        environment=tuple((folder / "environ").read_bytes().split(b"\0")),
    )
