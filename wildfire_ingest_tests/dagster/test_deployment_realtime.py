"""real_time sources deployed as in production: a run where there is news, or the tick itself."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.dagster_api import AssetEvent, DagsterApi
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.dagster.deployed import SECRETS, Deployed, small_world, source
from wildfire_ingest_tests.dagster.deployment import DAEMON, Deployment, eventually
from wildfire_ingest_tests.dagster.test_ingestion import answer

pytestmark = [pytest.mark.dagster_processes, pytest.mark.kafka]

LOCATION, POLLED, INLINE = "wildfire", "firms_polled", "firms_inline"
LATITUDES = ((39.1, 39.2, 39.3), (39.1, 39.2, 39.3, 39.4))
"""Two recordings: the second repeats the first and has one row more."""
EVERY_5_S = {"mode": "real_time", "polling_interval_seconds": 5}


class Stand(NamedTuple):
    """The deployment, and the APIs of its two sources."""

    deployment: Deployment
    deployed: Deployed
    replay: ReplaySite
    fires: FirmsSimulator
    api: DagsterApi

    def told(self, source_id: str) -> list[AssetEvent]:
        """A source's materializations, oldest first."""
        return self.api.materializations("wildfire", "nasa_firms", source_id)[::-1]


@pytest.fixture(scope="module")
def stand(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("realtime")
    recordings = folder / "recordings"
    recordings.mkdir()
    for number, latitudes in enumerate(LATITUDES):
        (recordings / f"{number}.csv").write_text(answer(*latitudes))
    replay, fires = ReplaySite(recordings, advances="on_command"), small_world(240)
    deployed = Deployed(folder, kafka, folder.name.lower())
    environment = {**os.environ, **SECRETS, "WILDFIRE_CONFIG": str(deployed.file)}
    deployment = Deployment(folder, {LOCATION: {}}, environment)
    with SimulatorServer(replay) as replay_url, SimulatorServer(fires) as fires_url:
        deployed.configure(
            {
                POLLED: source(replay_url, {**EVERY_5_S, "execution": "run"}),
                INLINE: source(fires_url, {**EVERY_5_S, "execution": "inline"}),
            }
        )
        with deployment:
            yield Stand(deployment, deployed, replay, fires, deployment.api(LOCATION))


def test_a_sensor_starts_a_run_where_there_is_news_and_it_tells_the_right_counts(stand):
    eventually(lambda: stand.told(POLLED), 90, "the first run")
    stand.replay.advance()
    first, second = eventually(lambda: stand.told(POLLED)[1:] and stand.told(POLLED), 60)

    assert (first.counts["records_fetched"], first.counts["records_sent"]) == (3, 3)
    assert (second.counts["records_fetched"], second.counts["records_sent"]) == (4, 1)
    in_kafka = stand.deployed.records(POLLED)
    assert len({record["id"] for record in in_kafka}) == len(in_kafka) == 4
    runs = stand.api.runs(job=f"ingest_{POLLED}")
    assert [run.run_id for run in runs] == [second.run_id, first.run_id]  # none without news
    assert {run.tags["dagster/sensor_name"] for run in runs} == {f"poll_{POLLED}"}


def test_an_inline_source_is_delivered_by_its_ticks_without_a_run(stand):
    eventually(lambda: len(stand.told(INLINE)) >= 2, 60, "two ticks with news")

    assert stand.api.runs(job=f"ingest_{INLINE}") == []
    assert {one.run_id for one in stand.told(INLINE)} == {""}
    assert all(one.counts["records_sent"] > 0 for one in stand.told(INLINE))


def test_ticks_deliver_on_after_kill_9_of_daemon_and_code_server_and_nothing_is_lost(stand):
    name = f"poll_{INLINE}"
    eventually(lambda: stand.told(POLLED), 90, "the other source's run has ended")
    before = len(eventually(lambda: stand.told(INLINE), 60, "the first tick with news"))

    stand.deployment.kill(DAEMON)
    stand.deployment.kill(LOCATION)
    eventually(lambda: len(stand.told(INLINE)) > before + 1, 60, "ticks deliver again")
    stand.api.stop_sensor(stand.api.toggle(name).state_id)
    eventually(lambda: stand.api.toggle(name).ticks[0].ended_s, 30, "the last tick has ended")

    assert stand.deployed.assert_exactly_once(INLINE, stand.fires) > 0
    stand.api.start_sensor(name)
