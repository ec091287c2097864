"""Real Dagster processes, a real Apache Kafka, real HTTP: the schedule fires, and Terminate ends.

One `dagster dev` for the module: it takes ten seconds to start.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.demo_dagster import DagsterDev
from wildfire_ingest.simulator.demo_folder import DAGSTER_SETTINGS
from wildfire_ingest.simulator.faults import Fault, FaultPlan
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.dagster.deployed import NEVER, SECRETS, Deployed, source
from wildfire_ingest_tests.dagster.deployment import eventually, living
from wildfire_ingest_tests.dagster.test_ingestion import answer

pytestmark = [pytest.mark.dagster_processes, pytest.mark.kafka]

SCHEDULED, SLOW = "firms_scheduled", "firms_slow"
ASSET = ("wildfire", "nasa_firms")
LATITUDES = ((39.1, 39.2, 39.3), (39.1, 39.2, 39.3, 39.4))
"""Two recordings: the second repeats the first and has one row more."""


class Stand(NamedTuple):
    """What a test of real processes works with."""

    dagster: DagsterDev
    deployed: Deployed
    slow: SimulatorServer


@pytest.fixture(scope="module")
def stand(kafka: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("dagster")
    recordings = folder / "recordings"
    recordings.mkdir()
    for number, latitudes in enumerate(LATITUDES):
        (recordings / f"{number}.csv").write_text(answer(*latitudes))
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(DAGSTER_SETTINGS))
    replayed = SimulatorServer(ReplaySite(recordings))
    drip = FaultPlan((Fault(kind="slow_drip", rate=1.0, bytes_per_s=20),))
    slow = SimulatorServer(ReplaySite(recordings), faults=drip)
    deployed = Deployed(folder, kafka, folder.name.lower())
    with replayed as url, slow as slow_url:
        minutely = {"mode": "batch", "schedule_interval_seconds": 60}
        by_hand = {"mode": "batch", "schedule_cron": NEVER}
        deployed.configure({SCHEDULED: source(url, minutely), SLOW: source(slow_url, by_hand)})
        environment = {
            **os.environ,
            **SECRETS,
            "DAGSTER_HOME": str(home),
            "WILDFIRE_CONFIG": str(deployed.file),
        }
        dagster = DagsterDev(folder, environment)
        try:
            dagster.start()
            yield Stand(dagster, deployed, slow)
        finally:
            group = dagster.pid
            dagster.stop()
        assert [process for process in living() if process.group == group] == []


def test_a_scheduled_run_materializes_its_asset_with_the_right_counts(stand):
    state_id = stand.dagster.start_schedule(f"schedule_{SCHEDULED}")

    def materialized(count):
        found = stand.dagster.materializations(*ASSET, SCHEDULED)
        return found if len(found) >= count else None

    eventually(lambda: materialized(1), 120)
    assert f"ingest_{SCHEDULED}" in {run.job for run in stand.dagster.runs()}  # nobody launched it
    stand.dagster.stop_schedule(state_id)
    stand.dagster.launch(f"ingest_{SCHEDULED}")  # spares a minute
    second, first = eventually(lambda: materialized(2), 60)

    assert (first.counts["records_fetched"], first.counts["records_sent"]) == (3, 3)
    assert (second.counts["records_fetched"], second.counts["records_sent"]) == (4, 1)
    assert second.counts["records_duplicate"] == 3
    in_kafka = stand.deployed.records(SCHEDULED)
    assert len(in_kafka) == first.counts["records_sent"] + second.counts["records_sent"]
    assert len({record["id"] for record in in_kafka}) == len(in_kafka)


def test_terminate_in_the_middle_of_a_poll_ends_the_run_as_canceled(stand):
    run_id = stand.dagster.launch(f"ingest_{SLOW}")

    def status():
        return {run.run_id: run.status for run in stand.dagster.runs()}[run_id]

    eventually(stand.slow.faults.struck, 60)
    began = time.monotonic()
    stand.dagster.terminate(run_id)
    eventually(lambda: status() not in {"STARTED", "CANCELING"}, 30)

    assert status() == "CANCELED"
    assert time.monotonic() - began < 15
    assert stand.deployed.records(SLOW) == []


def test_the_definitions_load_by_the_projects_own_workspace_file(tmp_path):
    """As plain `dagster dev` in the project's folder reads them."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=root,
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "Validation successful for code location wildfire_ingest" in done.stdout + done.stderr
