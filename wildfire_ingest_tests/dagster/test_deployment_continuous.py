"""A continuous source deployed as in production: launched by its sensor, ended, killed, changed.

Each test begins with a source that streams, and every record that was served by the end of one
is in Kafka once.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.dagster_api import UNFINISHED, DagsterApi, Run
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.dagster.deployed import SECRETS, Deployed, small_world, source
from wildfire_ingest_tests.dagster.deployment import DAEMON, Deployment, eventually

pytestmark = [pytest.mark.dagster_processes, pytest.mark.kafka]

LOCATION, SOURCE = "wildfire", "firms_stream"
JOB, SENSOR = f"continuous_{SOURCE}", f"supervise_{SOURCE}"
ASSET = ("wildfire", "nasa_firms", SOURCE)
FINGERPRINT = "wildfire/fingerprint"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
WINDOW_S = 3


class Stand(NamedTuple):
    """The deployment, and its one source with its API."""

    deployment: Deployment
    deployed: Deployed
    site: FirmsSimulator
    base_url: str
    api: DagsterApi

    def configure(self, polling_interval_s: float) -> None:
        """Write the configuration; nobody reads it before a reload or a new run."""
        ingestion = {
            "mode": "continuous_streaming",
            "polling_interval_seconds": polling_interval_s,
            "buffer_flush_interval_seconds": 0.5,
        }
        one = source(self.base_url, ingestion, rate_limit_per_minute=600)
        self.deployed.configure({SOURCE: one}, metrics_interval_seconds=WINDOW_S)

    def streaming(self, wait_s: float, besides: str = "") -> Run:
        """The run that has told of a window, other than `besides`."""

        def found() -> Run | None:
            told = {
                one.run_id
                for one in (*self.api.materializations(*ASSET), *self.api.observations(*ASSET))
            }
            for run in self.api.runs(["STARTED"], job=JOB):
                if run.run_id in told and run.run_id != besides:
                    return run
            return None

        return eventually(found, wait_s, f"{SOURCE} is streaming")

    def streaming_from_the_start(self) -> Run:
        """What every test begins with, however the one before it ended."""
        if not self.api.runs(UNFINISHED, job=JOB):
            self.switch_off_and_on()
        return self.streaming(90)

    def switch_off_and_on(self) -> None:
        self.api.stop_sensor(self.api.toggle(SENSOR).state_id)
        self.api.start_sensor(SENSOR)

    def ended(self, run_id: str, wait_s: float) -> str:
        """How a run ended."""

        def status() -> str | None:
            found = self.api.run(run_id).status
            return found if found in ENDED else None

        return eventually(status, wait_s, "the run has ended")

    def drain(self) -> str:
        """Switch the source off; how its run ended."""
        run = self.api.runs(["STARTED"], job=JOB)[0]

        def status() -> str | None:
            # Dagster's daemon writes a sensor's state after each tick, and so may undo a toggle.
            toggle = self.api.toggle(SENSOR)
            if toggle.is_on:
                self.api.stop_sensor(toggle.state_id)
            found = self.api.run(run.run_id).status
            return found if found in ENDED else None

        return eventually(status, 60, "the run has ended")

    def assert_exactly_once_after_draining(self) -> None:
        assert self.drain() == "SUCCESS"
        self.deployed.assert_exactly_once(SOURCE, self.site)


@pytest.fixture(scope="module")
def stand(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("continuous")
    site = small_world(240)
    server = SimulatorServer(site)
    deployed = Deployed(folder, kafka, folder.name.lower())
    environment = {**os.environ, **SECRETS, "WILDFIRE_CONFIG": str(deployed.file)}
    deployment = Deployment(folder, {LOCATION: {}}, environment)
    with server as url:
        stand = Stand(deployment, deployed, site, url, deployment.api(LOCATION))
        stand.configure(polling_interval_s=1)
        with deployment:
            yield stand


def test_a_run_launched_by_its_sensor_tells_of_each_window_what_it_sent(stand):
    stand.streaming_from_the_start()
    assert stand.drain() == "SUCCESS"
    before = len(stand.deployed.records(SOURCE))

    stand.api.start_sensor(SENSOR)
    run = stand.streaming(60)

    def windows():
        told = stand.api.materializations(*ASSET)
        return [one for one in told if one.run_id == run.run_id]

    eventually(lambda: len(windows()) >= 3, 60, "three windows")
    assert stand.drain() == "SUCCESS"

    assert run.tags["dagster/sensor_name"] == SENSOR
    in_kafka = stand.deployed.assert_exactly_once(SOURCE, stand.site)
    assert sum(one.counts["records_sent"] for one in windows()) == in_kafka - before > 0


def test_terminate_ends_it_as_canceled_within_10_s_and_the_next_run_delivers_the_rest(stand):
    run = stand.streaming_from_the_start()

    stand.api.terminate(run.run_id)
    status = stand.ended(run.run_id, 10)

    assert status == "CANCELED"
    stand.api.launch(JOB)
    stand.streaming(60, besides=run.run_id)
    stand.assert_exactly_once_after_draining()


def test_after_kill_9_of_the_run_worker_it_streams_again_within_60_s(stand):
    run = stand.streaming_from_the_start()

    stand.deployment.kill_worker(run.run_id)
    stand.streaming(60, besides=run.run_id)

    assert stand.ended(run.run_id, 1) == "FAILURE"
    stand.assert_exactly_once_after_draining()


def test_after_kill_9_of_daemon_and_code_server_it_streams_again(stand):
    run = stand.streaming_from_the_start()

    stand.deployment.kill(DAEMON)
    stand.deployment.kill(LOCATION)
    stand.streaming(120, besides=run.run_id)

    assert stand.ended(run.run_id, 1) == "FAILURE"
    stand.assert_exactly_once_after_draining()


def test_a_run_whose_code_server_alone_is_killed_streams_on_alone(stand):
    run = stand.streaming_from_the_start()
    worker = stand.deployment.worker_pid(run.run_id)
    before = stand.api.locations()[LOCATION].server_id

    stand.deployment.kill(LOCATION, "process")
    eventually(lambda: stand.api.locations()[LOCATION].server_id not in {None, before}, 60)
    sent = len(stand.deployed.records(SOURCE))
    eventually(lambda: len(stand.deployed.records(SOURCE)) > sent, 30, "more records")

    assert [one.run_id for one in stand.api.runs(UNFINISHED, job=JOB)] == [run.run_id]
    assert stand.deployment.worker_pid(run.run_id) == worker
    stand.assert_exactly_once_after_draining()


def test_a_second_run_by_hand_never_begins_and_the_first_streams_on(stand):
    run = stand.streaming_from_the_start()

    second = stand.api.launch(JOB)
    status = stand.ended(second, 60)

    assert status == "CANCELED"
    assert not any("Started process" in line for line in stand.api.run_log(second))
    assert stand.api.run(run.run_id).status == "STARTED"
    stand.assert_exactly_once_after_draining()


def test_a_changed_configuration_drains_the_run_and_starts_one_that_has_it(stand):
    run = stand.streaming_from_the_start()

    stand.configure(polling_interval_s=2)
    stand.api.reload_location()
    status = stand.ended(run.run_id, 60)
    changed = stand.streaming(60, besides=run.run_id)

    assert status == "SUCCESS"
    assert changed.tags[FINGERPRINT] != run.tags[FINGERPRINT]
    stand.assert_exactly_once_after_draining()


def test_its_sensors_toggle_ends_it_and_starts_it_again(stand):
    run = stand.streaming_from_the_start()

    assert stand.drain() == "SUCCESS"
    assert stand.api.runs(UNFINISHED, job=JOB) == []
    stand.api.start_sensor(SENSOR)

    assert stand.streaming(60).run_id != run.run_id
