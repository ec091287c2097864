"""The demo's own judgement, its configuration, its folder; and that Ctrl-C leaves nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from wildfire_ingest.config import loader
from wildfire_ingest.simulator import brokers
from wildfire_ingest.simulator.demo import comparison, last_run
from wildfire_ingest.simulator.demo_dagster import Run
from wildfire_ingest.simulator.demo_folder import PARAMS, DemoFailed, DemoFolder
from wildfire_ingest.simulator.demo_reader import Found
from wildfire_ingest.simulator.demo_screen import Standing, plain_cells
from wildfire_ingest.simulator.demo_verdict import Comparison
from wildfire_ingest.simulator.firms import FirmsSimulator
from wildfire_ingest.simulator.firms_world import WorldSettings

START_US = 1_786_795_200_000_000
GOOD = Comparison(
    source_id="firms",
    served_rows=10,
    served_changes=2,
    distinct_ids=10,
    records=12,
    duplicates=0,
    dead=0,
)


def test_rows_that_all_arrived_once_agree():
    assert GOOD.disagreements() == ()


def test_a_rejected_row_that_became_a_dead_letter_is_accounted_for():
    assert replace(GOOD, served_rows=11, dead=1).disagreements() == ()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"distinct_ids": 9, "records": 11}, "10 distinct rows were served, but Kafka holds 9 ids"),
        ({"records": 11}, "rows changed 2 times, but Kafka holds 1 revisions"),
        ({"duplicates": 1}, "1 records are in Kafka more than once"),
        (
            {"served_rows": 0, "served_changes": 0, "distinct_ids": 0, "records": 0},
            "nothing was served",
        ),
    ],
)
def test_what_does_not_agree_is_said(wrong, words):
    (disagreement,) = replace(GOOD, **wrong).disagreements()

    assert disagreement.startswith("firms: ")
    assert words in disagreement


def test_a_record_that_is_there_twice_is_a_duplicate_and_a_revision_is_none():
    found = Found()

    for revision in (0, 1, 1):
        found.note("a", revision)

    assert (len(found.ids), len(found.revisions), found.duplicates) == (1, 2, 1)


def test_the_comparison_takes_what_was_served_from_the_simulator():
    site = FirmsSimulator(WorldSettings(), START_US)
    site.state = lambda: {"distinct_rows": 10, "value_changes": 2}  # type: ignore[method-assign]
    found = Found()
    for number in range(10):
        found.note(str(number), 0)
    found.note("0", 1)
    found.note("0", 2)

    assert comparison("firms", site, found) == GOOD


def test_the_demos_configuration_is_valid_and_has_no_warning(tmp_path):
    folder = DemoFolder(tmp_path / "demo")
    folder.write_config("127.0.0.1:9092", dict.fromkeys(PARAMS, "http://127.0.0.1:1"), "-x")

    loaded = loader.load(folder.config_file, environ=folder.environment())
    folder.close()

    assert loaded.warnings == ()
    assert {one.source_id for one in loaded.config.owned_sources} == set(PARAMS)
    assert all(one.cron == "* * * * *" for one in loaded.config.owned_sources)
    assert set(loaded.config.topics) == {"wildfire-nasa-firms-x"}


def test_nothing_of_the_users_own_deployment_reaches_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("WILDFIRE_KAFKA_BOOTSTRAP_SERVERS", "production:9092")
    monkeypatch.setenv("FIRMS_MAP_KEY", "the-users-own")
    folder = DemoFolder(tmp_path / "demo")

    environment = folder.environment()
    folder.close()

    assert "production:9092" not in environment.values()
    assert "the-users-own" not in environment.values()


def test_two_demos_do_not_share_a_folder(tmp_path):
    first = DemoFolder(tmp_path / "demo")

    with pytest.raises(DemoFailed, match="another demo is running"):
        DemoFolder(tmp_path / "demo")

    first.close()


def test_a_demo_begins_with_an_empty_folder(tmp_path):
    first = DemoFolder(tmp_path / "demo")
    (first.path / "state").mkdir()
    first.close()

    second = DemoFolder(tmp_path / "demo")
    second.close()

    assert not (second.path / "state").exists()


def test_the_last_run_is_told_with_its_age():
    runs = [
        Run("2", "ingest_a", "SUCCESS", 100.0, 104.0),
        Run("1", "ingest_a", "FAILURE", 1.0, 2.0),
    ]

    assert last_run(runs, "ingest_a", 110.0) == "success 6 s ago"
    assert last_run(runs, "ingest_b", 110.0) == "none yet"


def test_an_unknown_lag_is_not_shown_as_zero():
    standing = Standing(source_id="a", served=1234, records=5, dead=0, last_run="-", lag=None)

    assert plain_cells(standing)[1] == "served 1,234"
    assert plain_cells(standing)[-1] == "lag ?"


def test_the_command_line_names_a_broker_that_there_is_not(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wildfire_ingest.cli.main", "demo", "--broker", "rabbit"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "no broker is called 'rabbit'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.dagster_processes
@pytest.mark.skipif(
    brokers.missing_requirements(brokers.EMBEDDED) is not None,
    reason="the embedded broker is not installed",
)
def test_ctrl_c_leaves_no_process_behind(tmp_path):
    mark = f"DEMO_OF={tmp_path}"
    demo = subprocess.Popen(
        [sys.executable, "-m", "wildfire_ingest.cli.main", "demo"],
        cwd=tmp_path,
        env={**os.environ, "DEMO_OF": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(120, demo.kill)
    watchdog.start()
    try:
        shown = []
        assert demo.stdout is not None
        for line in demo.stdout:
            shown.append(line)
            if line.startswith("Ctrl-C ends it"):
                break
        during = with_environment(mark)
        began = time.monotonic()
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate(timeout=60)[0]
    finally:
        watchdog.cancel()
        demo.kill()

    assert "not durable" in "".join(shown)
    assert len(during) >= 5, "".join(shown)
    assert "nothing is left running" in rest
    assert demo.returncode == 0
    assert time.monotonic() - began < 40
    assert with_environment(mark) == []


def with_environment(mark):
    """Processes, by id, that inherited this environment variable (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
