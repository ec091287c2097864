"""Scheduled sources deployed as in production: two instances under one daemon, and kill -9.

`north` and `south` own a source each; `second` is another owner of north's sources, with the same
state folder; one code server a location.
"""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.dagster_api import DagsterApi
from wildfire_ingest.simulator.faults import Fault
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.dagster.deployed import NEVER, SECRETS, Deployed, small_world, source
from wildfire_ingest_tests.dagster.deployment import DAEMON, Deployment, eventually

pytestmark = [pytest.mark.dagster_processes, pytest.mark.kafka]

NORTH, SOUTH, TICKING = "firms_north", "firms_south", "firms_ticking"
BY_HAND = {"mode": "batch", "schedule_cron": NEVER}
MINUTELY = {"mode": "batch", "schedule_interval_seconds": 60}
DRIP = Fault(kind="slow_drip", rate=1.0, bytes_per_s=200)
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


class Stand(NamedTuple):
    """The deployment, its sources, and each source's API."""

    deployment: Deployment
    deployed: Deployed
    servers: dict[str, SimulatorServer]

    def site(self, source_id: str) -> FirmsSimulator:
        found = self.servers[source_id].site
        assert isinstance(found, FirmsSimulator)
        return found

    def run_by_hand(self, location: str, source_id: str) -> str:
        """Launch, and wait for the end; its status."""
        api = self.deployment.api(location)
        run_id = api.launch(f"ingest_{source_id}")
        return eventually(lambda: ended_as(api, run_id), 60, f"{source_id} has run")

    def in_the_middle_of_a_poll(self, location: str, source_id: str) -> list[str]:
        """Launch, with an API that drips from now on; the runs that are under way."""
        api, faults = self.deployment.api(location), self.servers[source_id].faults
        before = faults.struck().get(DRIP.kind, 0)
        faults.replace((DRIP,))
        job = f"ingest_{source_id}"
        api.launch(job)
        eventually(lambda: faults.struck().get(DRIP.kind, 0) > before, 60, f"{source_id} polls")
        return [run.run_id for run in api.runs(["STARTED"], job=job)]


def ended_as(api: DagsterApi, run_id: str) -> str | None:
    status = api.run(run_id).status
    return status if status in ENDED else None


@pytest.fixture(scope="module")
def stand(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("batch")
    servers = {
        source_id: SimulatorServer(small_world(120)) for source_id in (NORTH, SOUTH, TICKING)
    }
    deployed = Deployed(folder, kafka, folder.name.lower())
    deployed.configure(
        {
            NORTH: source(servers[NORTH].start(), BY_HAND, instance="north"),
            SOUTH: source(servers[SOUTH].start(), BY_HAND, instance="south"),
            TICKING: source(servers[TICKING].start(), MINUTELY, instance="south"),
        }
    )
    locations = {"north": "north", "south": "south", "second": "north"}
    deployment = Deployment(
        folder,
        {name: {"WILDFIRE_INSTANCE": instance} for name, instance in locations.items()},
        {**os.environ, **SECRETS, "WILDFIRE_CONFIG": str(deployed.file)},
        command="api grpc",
    )
    with deployment:
        yield Stand(deployment, deployed, servers)
    for server in servers.values():
        server.stop()


def test_each_code_location_has_the_sources_of_its_instance_only(stand):
    found = stand.deployment.api().locations()

    def sources(location):
        return {key[-1] for key in found[location].assets if "nasa_firms" in key}

    assert sources("north") == {NORTH}
    assert sources("south") == {SOUTH, TICKING}
    assert {job for job in found["north"].jobs if job.startswith("ingest_")} == {f"ingest_{NORTH}"}
    assert f"schedule_{TICKING}" in found["south"].schedules - found["north"].schedules


def test_both_instances_deliver_under_one_daemon_and_nothing_twice(stand):
    api = stand.deployment.api()

    statuses = [stand.run_by_hand("north", NORTH), stand.run_by_hand("south", SOUTH)]

    assert statuses == ["SUCCESS", "SUCCESS"]
    for source_id in (NORTH, SOUTH):
        told = api.materializations("wildfire", "nasa_firms", source_id)
        in_kafka = stand.deployed.assert_exactly_once(source_id, stand.site(source_id))
        assert sum(one.counts["records_sent"] for one in told) == in_kafka > 0


def test_a_second_owner_of_a_running_source_ends_well_and_does_nothing(stand):
    first = stand.deployment.api("north")
    (owner,) = stand.in_the_middle_of_a_poll("north", NORTH)
    served = stand.site(NORTH).state()["answers"]
    status = stand.run_by_hand("second", NORTH)
    owner_status = first.run(owner).status

    assert (status, owner_status) == ("SUCCESS", "STARTED")
    assert stand.site(NORTH).state()["answers"] == served
    looked = first.observations("wildfire", "nasa_firms", NORTH)[0]
    assert looked.texts["stop_reason"] == "already running"
    first.terminate(owner)
    stand.servers[NORTH].faults.replace(())
    eventually(lambda: ended_as(first, owner), 30, "the owner has ended")
    assert stand.run_by_hand("second", NORTH) == "SUCCESS"
    stand.deployed.assert_exactly_once(NORTH, stand.site(NORTH))


def test_a_run_whose_code_server_alone_is_killed_goes_on_to_its_end(stand):
    api = stand.deployment.api("south")
    before = api.locations()["south"].server_id
    (run_id,) = stand.in_the_middle_of_a_poll("south", SOUTH)

    stand.deployment.kill("south", "process")
    stand.servers[SOUTH].faults.replace(())
    stand.servers[SOUTH].stop()  # cuts the answer that drips; the next attempt has all of it
    stand.servers[SOUTH].start()
    status = eventually(lambda: ended_as(api, run_id), 90, "the orphan has ended")

    assert status == "SUCCESS"
    eventually(lambda: api.locations()["south"].server_id not in {None, before}, 30, "it is back")
    assert stand.run_by_hand("south", SOUTH) == "SUCCESS"
    stand.deployed.assert_exactly_once(SOUTH, stand.site(SOUTH))


def test_schedules_tick_again_after_kill_9_of_daemon_and_code_server_and_nothing_is_lost(stand):
    api = stand.deployment.api("south")
    victims = stand.in_the_middle_of_a_poll("south", TICKING)

    killed_s = time.time()
    stand.deployment.kill(DAEMON)
    stand.deployment.kill("south")
    stand.servers[TICKING].faults.replace(())

    def ticks_again():
        ticks = api.toggle(f"schedule_{TICKING}").ticks
        return [one for one in ticks if one.at_s > killed_s and one.error is None]

    eventually(ticks_again, 130, "the schedule has ticked")
    assert not any(stand.deployment.worker_pid(run_id) for run_id in victims)
    assert stand.run_by_hand("south", TICKING) == "SUCCESS"
    stand.deployed.assert_exactly_once(TICKING, stand.site(TICKING))
