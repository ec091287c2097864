"""What is asked of a Dagster webserver by GraphQL: runs, assets, schedules, sensors, locations.

Seconds, also since the epoch.  Source: the schema that the installed dagster-webserver serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import requests

from wildfire_ingest.errors import IngestError

ASK_S = 30.0
UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_FAILED = "... on PythonError { message }"
_LOCATIONS = f"""{{ workspaceOrError {{ __typename {_FAILED} ... on Workspace {{ locationEntries {{
  name locationOrLoadError {{ __typename {_FAILED} ... on RepositoryLocation {{ serverId
    repositories {{ jobs {{ name }} schedules {{ name }} sensors {{ name }}
      assetNodes {{ assetKey {{ path }} }} }} }} }} }} }} }} }}"""
_RELOAD = f"""mutation($l: String!) {{ reloadRepositoryLocation(repositoryLocationName: $l) {{
  __typename {_FAILED} ... on WorkspaceLocationEntry {{ locationOrLoadError {{
    __typename {_FAILED} }} }} }} }}"""
_START_SCHEDULE = f"""mutation($s: ScheduleSelector!) {{ startSchedule(scheduleSelector: $s) {{
  __typename {_FAILED} ... on ScheduleStateResult {{ scheduleState {{ id }} }} }} }}"""
_STOP_SCHEDULE = f"""mutation($id: String!) {{ stopRunningSchedule(id: $id) {{
  __typename {_FAILED} }} }}"""
_START_SENSOR = f"""mutation($s: SensorSelector!) {{ startSensor(sensorSelector: $s) {{
  __typename {_FAILED} ... on Sensor {{ sensorState {{ id }} }} }} }}"""
_STOP_SENSOR = f"""mutation($id: String!) {{ stopSensor(id: $id) {{ __typename {_FAILED} }} }}"""
_TOGGLE = f"""query($s: InstigationSelector!, $n: Int!) {{
  instigationStateOrError(instigationSelector: $s) {{ __typename {_FAILED}
  ... on InstigationState {{ id status ticks(limit: $n) {{
    status timestamp endTimestamp runIds skipReason cursor error {{ message }} }} }} }} }}"""
_LAUNCH = f"""mutation($p: ExecutionParams!) {{ launchRun(executionParams: $p) {{ __typename
  {_FAILED} ... on LaunchRunSuccess {{ run {{ runId }} }}
  ... on RunConfigValidationInvalid {{ errors {{ message }} }} }} }}"""
_TERMINATE = f"""mutation($id: String!, $p: TerminateRunPolicy!) {{
  terminateRun(runId: $id, terminatePolicy: $p) {{ __typename {_FAILED}
  ... on TerminateRunFailure {{ message }} }} }}"""
_RUN = "runId jobName status startTime endTime tags { key value }"
_RUNS = f"""query($f: RunsFilter, $n: Int!) {{ runsOrError(filter: $f, limit: $n) {{ __typename
  {_FAILED} ... on Runs {{ results {{ {_RUN} }} }} }} }}"""
_LOG = f"""query($id: ID!) {{ logsForRun(runId: $id, limit: 1000) {{ __typename {_FAILED}
  ... on EventConnection {{ events {{ __typename ... on MessageEvent {{ message }} }} }} }} }}"""
_NUMBERS = """metadataEntries { label ... on IntMetadataEntry { intValue }
  ... on FloatMetadataEntry { floatValue } ... on TextMetadataEntry { text } }"""
_EVENTS = f"""query($k: AssetKeyInput!) {{ assetOrError(assetKey: $k) {{ __typename
  ... on Asset {{ %s(limit: 100) {{ runId timestamp {_NUMBERS} }} }} }} }}"""
_CHECKS = f"""query($k: AssetKeyInput!, $c: String!, $n: Int!) {{
  assetCheckExecutions(assetKey: $k, checkName: $c, limit: $n) {{
    runId status timestamp evaluation {{ severity success {_NUMBERS} }} }} }}"""


class DagsterRefused(IngestError):
    """Dagster did not do what it was asked; the text has its words."""


class Run(NamedTuple):
    """One run as Dagster tells it; times are seconds since the epoch."""

    run_id: str
    job: str
    status: str
    started_s: float | None
    ended_s: float | None
    tags: Mapping[str, str] = _NOTHING


class AssetEvent(NamedTuple):
    """One materialization or observation: its whole numbers, its other numbers, its texts."""

    run_id: str
    counts: Mapping[str, int]
    rates: Mapping[str, float]
    texts: Mapping[str, str]
    at_s: float


class CheckResult(NamedTuple):
    """One evaluation of an asset check; `severity` is None while it goes on."""

    run_id: str
    status: str
    severity: str | None
    counts: Mapping[str, int]
    rates: Mapping[str, float]
    at_s: float


class Tick(NamedTuple):
    """One evaluation of a schedule or a sensor."""

    status: str
    at_s: float
    ended_s: float | None
    run_ids: tuple[str, ...]
    skip_reason: str | None
    error: str | None
    cursor: str | None


class Toggle(NamedTuple):
    """A schedule or sensor: the id to stop it with, and its latest ticks, newest first."""

    state_id: str
    is_on: bool
    ticks: tuple[Tick, ...]


class Location(NamedTuple):
    """A code location as the webserver has it; `error` is why it could not be loaded."""

    name: str
    is_loaded: bool
    error: str | None
    server_id: str | None
    jobs: frozenset[str]
    schedules: frozenset[str]
    sensors: frozenset[str]
    assets: frozenset[tuple[str, ...]]


class DagsterApi:
    """A webserver, and the code location whose jobs, schedules and sensors are named."""

    def __init__(self, url: str, *, location: str) -> None:
        self.url = url
        self.location = location
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        """Let its connections go; asking again opens new ones."""
        self._http.close()

    # code locations

    def locations(self) -> dict[str, Location]:
        """Every code location of the workspace, by name."""
        entries = self._do(_LOCATIONS, "workspaceOrError", _NOTHING, "Workspace")["locationEntries"]
        return {entry["name"]: _location(entry) for entry in entries}

    def reload_location(self) -> None:
        """Ask the code server again what it has.  Raises where that cannot be loaded."""
        answer = self._do(
            _RELOAD, "reloadRepositoryLocation", {"l": self.location}, "WorkspaceLocationEntry"
        )
        found = answer["locationOrLoadError"]
        if found is not None and found["__typename"] == "PythonError":
            raise DagsterRefused(f"Dagster cannot load {self.location}: {found['message']}")

    # schedules and sensors

    def start_schedule(self, name: str) -> str:
        """Turn a schedule on; the id with which it is stopped."""
        selector = {"s": {**self._repository, "scheduleName": name}}
        answer = self._do(_START_SCHEDULE, "startSchedule", selector, "ScheduleStateResult")
        return str(answer["scheduleState"]["id"])

    def stop_schedule(self, state_id: str) -> None:
        """Turn a schedule off; runs that it has started go on."""
        self._do(_STOP_SCHEDULE, "stopRunningSchedule", {"id": state_id}, "ScheduleStateResult")

    def start_sensor(self, name: str) -> str:
        """Turn a sensor on; the id with which it is stopped."""
        selector = {"s": {**self._repository, "sensorName": name}}
        answer = self._do(_START_SENSOR, "startSensor", selector, "Sensor")
        return str(answer["sensorState"]["id"])

    def stop_sensor(self, state_id: str) -> None:
        """Turn a sensor off; runs that it has started go on."""
        self._do(_STOP_SENSOR, "stopSensor", {"id": state_id}, "StopSensorMutationResult")

    def toggle(self, name: str, *, ticks: int = 20) -> Toggle:
        """How a schedule or sensor stands."""
        variables = {"s": {**self._repository, "name": name}, "n": ticks}
        answer = self._do(_TOGGLE, "instigationStateOrError", variables, "InstigationState")
        return Toggle(
            answer["id"], answer["status"] == "RUNNING", tuple(map(_tick, answer["ticks"]))
        )

    # runs

    def launch(
        self,
        job: str,
        run_config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start a run; its id."""
        params = {
            "selector": {**self._repository, "jobName": job},
            "runConfigData": dict(run_config or {}),
            "executionMetadata": {"tags": _tag_list(tags)},
        }
        answer = self._do(_LAUNCH, "launchRun", {"p": params}, "LaunchRunSuccess")
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str, *, immediately: bool = False) -> None:
        """What the UI's Terminate does; `immediately` only writes CANCELED down, the run goes on.

        Raises DagsterRefused where the run's process could not be told.
        """
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if immediately else "SAFE_TERMINATE"
        variables = {"id": run_id, "p": policy}
        self._do(_TERMINATE, "terminateRun", variables, "TerminateRunSuccess")

    def runs(
        self,
        statuses: Sequence[str] | None = None,
        *,
        job: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """The latest runs of all locations, newest first."""
        wanted: dict[str, Any] = {"tags": _tag_list(tags)} if tags else {}
        if statuses is not None:
            wanted["statuses"] = list(statuses)
        if job is not None:
            wanted["pipelineName"] = job
        return self._runs(wanted, limit)

    def run(self, run_id: str) -> Run:
        """One run.  Raises KeyError where there is none."""
        found = self._runs({"runIds": [run_id]}, 1)
        if not found:
            raise KeyError(run_id)
        return found[0]

    def run_log(self, run_id: str) -> list[str]:
        """The messages of a run's first thousand events."""
        answer = self._do(_LOG, "logsForRun", {"id": run_id}, "EventConnection")
        return [event["message"] for event in answer["events"] if "message" in event]

    # assets

    def materializations(self, *key: str) -> list[AssetEvent]:
        """Of one asset, newest first; none where Dagster has no events of it."""
        return self._events("assetMaterializations", key)

    def observations(self, *key: str) -> list[AssetEvent]:
        """Of one asset, newest first; none where Dagster has no events of it."""
        return self._events("assetObservations", key)

    def check_results(self, *key: str, check: str, limit: int = 10) -> list[CheckResult]:
        """Of one check of an asset, newest first."""
        variables = {"k": {"path": list(key)}, "c": check, "n": limit}
        found: list[dict[str, Any]] = self._ask(_CHECKS, variables)["assetCheckExecutions"]
        return [_check_result(one) for one in found]

    @property
    def _repository(self) -> dict[str, str]:
        return {"repositoryName": "__repository__", "repositoryLocationName": self.location}

    def _runs(self, wanted: Mapping[str, Any], limit: int) -> list[Run]:
        answer = self._do(_RUNS, "runsOrError", {"f": wanted, "n": limit}, "Runs")
        return [
            Run(
                run_id=one["runId"],
                job=one["jobName"],
                status=one["status"],
                started_s=one["startTime"],
                ended_s=one["endTime"],
                tags={tag["key"]: tag["value"] for tag in one["tags"]},
            )
            for one in answer["results"]
        ]

    def _events(self, field: str, key: Sequence[str]) -> list[AssetEvent]:
        answer = self._ask(_EVENTS % field, {"k": {"path": list(key)}})["assetOrError"]
        return [
            AssetEvent(
                one["runId"],
                _entries(one, "intValue"),
                _entries(one, "floatValue"),
                _entries(one, "text"),
                int(one["timestamp"]) / 1000,
            )
            for one in answer.get(field, ())
        ]

    def _do(
        self, query: str, field: str, variables: Mapping[str, Any], wanted: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(query, variables)[field]
        if answer["__typename"] != wanted:
            why = answer.get("message") or answer.get("errors") or answer["__typename"]
            raise DagsterRefused(f"Dagster answered {field} with: {why}")
        return answer

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        reply = self._http.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": dict(variables)},
            timeout=ASK_S,
        ).json()
        if "errors" in reply or not reply.get("data"):
            raise DagsterRefused(f"Dagster answered: {str(reply.get('errors'))[:300]}")
        data: dict[str, Any] = reply["data"]
        return data


def _location(entry: Mapping[str, Any]) -> Location:
    found = entry["locationOrLoadError"] or {}
    repositories = found.get("repositories", ())

    def names(of: str) -> frozenset[str]:
        return frozenset(one["name"] for repository in repositories for one in repository[of])

    return Location(
        name=entry["name"],
        is_loaded=found.get("__typename") == "RepositoryLocation",
        error=found.get("message"),
        server_id=found.get("serverId"),
        jobs=names("jobs"),
        schedules=names("schedules"),
        sensors=names("sensors"),
        assets=frozenset(
            tuple(node["assetKey"]["path"])
            for repository in repositories
            for node in repository["assetNodes"]
        ),
    )


def _tick(one: Mapping[str, Any]) -> Tick:
    return Tick(
        status=one["status"],
        at_s=one["timestamp"],
        ended_s=one["endTimestamp"],
        run_ids=tuple(one["runIds"]),
        skip_reason=one["skipReason"],
        error=one["error"]["message"] if one["error"] else None,
        cursor=one["cursor"],
    )


def _check_result(one: Mapping[str, Any]) -> CheckResult:
    evaluation = one["evaluation"] or {"severity": None, "metadataEntries": ()}
    return CheckResult(
        run_id=one["runId"],
        status=one["status"],
        severity=evaluation["severity"],
        counts=_entries(evaluation, "intValue"),
        rates=_entries(evaluation, "floatValue"),
        at_s=one["timestamp"],
    )


def _entries(event: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found = ((entry["label"], entry.get(kind)) for entry in event["metadataEntries"])
    return {label: value for label, value in found if value is not None}


def _tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in (tags or {}).items()]
