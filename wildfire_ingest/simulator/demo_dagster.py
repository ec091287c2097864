"""`dagster dev` as a child process, and what the demo asks of its GraphQL API.

Seconds.  Source: the schema that the installed dagster-webserver serves.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests

from wildfire_ingest.simulator.brokers_process import LOOPBACK, ServerProcess, free_ports
from wildfire_ingest.simulator.demo_folder import DemoFailed

LOCATION = "wildfire_ingest.definitions"
USUAL_PORT = 3000
START_WAIT_S = 120.0
STOP_WAIT_S = 15.0
ASK_S = 30.0
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
_LOADED = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  __typename ... on PythonError { message } } } } } }"""
_START = """mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) {
  __typename ... on ScheduleStateResult { scheduleState { id } }
  ... on PythonError { message } } }"""
_STOP = """mutation($id: String!) { stopRunningSchedule(id: $id) {
  __typename ... on PythonError { message } } }"""
_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) {
  __typename ... on PythonError { message } } }"""
_RUNS = """query($f: RunsFilter) { runsOrError(filter: $f, limit: 50) { __typename
  ... on Runs { results { runId jobName status startTime endTime } }
  ... on PythonError { message } } }"""
_MATERIALIZED = """query($k: AssetKeyInput!) { assetOrError(assetKey: $k) { __typename
  ... on Asset { assetMaterializations(limit: 100) { runId timestamp metadataEntries {
    label ... on IntMetadataEntry { intValue } } } } } }"""


class Run(NamedTuple):
    """One run as Dagster tells it; times are seconds since the epoch."""

    run_id: str
    job: str
    status: str
    started_s: float | None
    ended_s: float | None


class Materialization(NamedTuple):
    """One materialization and its whole numbers."""

    run_id: str
    counts: dict[str, int]


class DagsterDev:
    """Webserver, daemon and code server, on 127.0.0.1."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._port = USUAL_PORT if _is_free(USUAL_PORT) else free_ports(1)[0]
        self._process: ServerProcess | None = None
        self._http = requests.Session()
        self._http.trust_env = False

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> str:
        """Start, and wait until the definitions are loaded; the UI's address."""
        command = [sys.executable, "-m", "dagster", "dev", "-m", LOCATION]
        command += ["-h", LOOPBACK, "-p", str(self._port), "--log-level", "warning"]
        log = self._folder / "dagster.log"
        self._process = ServerProcess(command, log=log, cwd=self._folder, env=self._environment)
        deadline, pause = time.monotonic() + START_WAIT_S, threading.Event()
        while time.monotonic() < deadline:
            if not self._process.is_running:
                raise DemoFailed(f"Dagster ended while starting; see {log}")
            if self._is_loaded():
                return self.url
            pause.wait(0.25)
        raise DemoFailed(f"Dagster was not ready within {START_WAIT_S:.0f} s; see {log}")

    def stop(self) -> None:
        """End it and all its runs as Ctrl-C would; after a while by force."""
        self._http.close()
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

    def start_schedule(self, name: str) -> str:
        """Turn a schedule on; the id with which it is stopped."""
        selector = {**_REPOSITORY, "scheduleName": name}
        answer = self._do(_START, "startSchedule", {"s": selector}, "ScheduleStateResult")
        return str(answer["scheduleState"]["id"])

    def stop_schedule(self, state_id: str) -> None:
        """Turn a schedule off; runs that it has started go on."""
        self._do(_STOP, "stopRunningSchedule", {"id": state_id}, "ScheduleStateResult")

    def terminate(self, run_id: str) -> None:
        """What the UI's Terminate does."""
        self._do(_TERMINATE, "terminateRun", {"id": run_id}, "TerminateRunSuccess")

    def launch(self, job: str) -> str:
        """Start a run; its id."""
        params = {"selector": {**_REPOSITORY, "jobName": job}, "runConfigData": {}}
        answer = self._do(_LAUNCH, "launchRun", {"p": params}, "LaunchRunSuccess")
        return str(answer["run"]["runId"])

    def runs(self, statuses: Sequence[str] | None = None) -> list[Run]:
        """The latest runs, newest first."""
        wanted = {} if statuses is None else {"statuses": list(statuses)}
        answer = self._do(_RUNS, "runsOrError", {"f": wanted}, "Runs")
        return [
            Run(one["runId"], one["jobName"], one["status"], one["startTime"], one["endTime"])
            for one in answer["results"]
        ]

    def materializations(self, *key: str) -> list[Materialization]:
        """Of one asset, newest first; none where Dagster has no events of it."""
        answer = self._ask(_MATERIALIZED, {"k": {"path": list(key)}})["assetOrError"]
        return [
            Materialization(
                one["runId"],
                {
                    entry["label"]: entry["intValue"]
                    for entry in one["metadataEntries"]
                    if entry.get("intValue") is not None
                },
            )
            for one in answer.get("assetMaterializations", ())
        ]

    def _is_loaded(self) -> bool:
        """Whether the definitions are there.  Raises DemoFailed where they cannot be loaded."""
        try:
            entries = self._ask(_LOADED, {})["workspaceOrError"]["locationEntries"]
        except (requests.RequestException, KeyError, DemoFailed):
            return False
        found = [entry["locationOrLoadError"] for entry in entries]
        for one in found:
            if one is not None and one["__typename"] == "PythonError":
                raise DemoFailed(f"Dagster cannot load the definitions: {one['message']}")
        return bool(found) and None not in found

    def _do(
        self, query: str, field: str, variables: Mapping[str, Any], wanted: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(query, variables)[field]
        if answer["__typename"] != wanted:
            why = answer.get("message", answer["__typename"])
            raise DemoFailed(f"Dagster answered {field} with: {why}")
        return answer

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        reply = self._http.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": dict(variables)},
            timeout=ASK_S,
        ).json()
        if "errors" in reply or not reply.get("data"):
            raise DemoFailed(f"Dagster answered: {str(reply.get('errors'))[:300]}")
        data: dict[str, Any] = reply["data"]
        return data


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) != 0
