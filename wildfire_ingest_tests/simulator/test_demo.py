"""The demo's own judgement, its configuration, its folder, its screen."""

import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from wildfire_ingest.config import loader
from wildfire_ingest.simulator.demo import comparison
from wildfire_ingest.simulator.demo_folder import METRICS_EVERY_S, DemoFailed, DemoFolder
from wildfire_ingest.simulator.demo_reader import Found
from wildfire_ingest.simulator.demo_screen import Screen, Standing, plain_cells
from wildfire_ingest.simulator.demo_sources import MODES, SOURCES
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
STANDING = Standing(
    source_id="firms_viirs_snpp",
    mode="batch",
    served=1234,
    ids=1230,
    dead=4,
    last_run="success 12 s ago",
    lag=5,
    records_per_s=6.25,
)
SERVERS = dict.fromkeys((one.source_id for one in SOURCES), "http://127.0.0.1:1")


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


@pytest.fixture
def loaded(tmp_path):
    folder = DemoFolder(tmp_path / "demo")
    folder.write_config("127.0.0.1:9092", SERVERS, "-x")
    yield loader.load(folder.config_file, environ=folder.environment())
    folder.close()


def test_the_demo_runs_all_three_modes(loaded):
    sources = loaded.config.owned_sources

    assert {one.source_id: one.ingestion.mode for one in sources} == {
        one.source_id: one.mode for one in SOURCES
    }
    assert {one.ingestion.mode for one in sources} == set(MODES)
    assert {one.cron for one in sources if one.ingestion.mode == "batch"} == {"* * * * *"}
    assert [one.is_inline for one in sources if one.ingestion.mode == "real_time"] == [False]
    assert loaded.config.metrics_interval_seconds == METRICS_EVERY_S


def test_the_demos_configuration_has_no_doubt_but_that_a_run_for_each_news_is_dear(loaded):
    assert [warning.rule for warning in loaded.warnings] == ["run_cost"]


def test_on_a_cluster_of_ones_own_every_topic_of_the_demo_has_a_name_of_its_own(loaded):
    kafka = loaded.config.kafka
    topics = {kafka.dlq_topic, kafka.offsets_topic, *loaded.config.topics}

    assert {one.topic for one in loaded.config.owned_sources} == set(loaded.config.topics)
    assert all(topic.endswith("-x") for topic in topics)


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


def test_an_unknown_lag_or_pace_is_not_shown_as_zero():
    cells = plain_cells(replace(STANDING, lag=None, records_per_s=None))

    assert cells[-2:] == ("lag ?", "? records/s")


def test_a_log_has_a_line_for_each_source_now_and_then():
    screen = Screen(Console(width=200, no_color=True))

    with screen.console.capture() as shown:
        for now_s in (100.0, 102.0, 110.0):
            screen.show([STANDING], now_s)

    line = (
        "  firms_viirs_snpp  batch  served 1,234  in Kafka 1,230  dead 4"
        "  run success 12 s ago  lag 5  6.2 records/s\n"
    )
    assert shown.get() == 2 * line


def test_a_terminal_of_80_columns_has_a_line_for_each_source():
    screen = Screen(Console(width=80, force_terminal=True, no_color=True))
    screen.heading = "Dagster's UI: http://127.0.0.1:3000"
    streaming = replace(STANDING, mode="continuous_streaming", last_run="streaming 61 s")

    with screen.console.capture() as shown:
        screen.show([replace(STANDING, served=1_234_567, ids=1_234_560), streaming], 100.0)
        screen.close()

    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert any(screen.heading in line for line in lines)
    assert "firms_viirs_snpp batch 1,234,567 1,234,560 4 success 12 s ago 5 6.2" in lines
    assert "firms_viirs_snpp continuous 1,234 1,230 4 streaming 61 s 5 6.2" in lines


def test_the_verdict_has_both_sides_of_each_source():
    screen = Screen(Console(width=80, no_color=True))

    with screen.console.capture() as shown:
        screen.show_verdict([replace(GOOD, source_id="noaa_stations_ca", served_rows=123_456)])

    header, row = (line.split() for line in shown.get().splitlines())
    assert " ".join(header) == "source rows served ids in Kafka changes revisions twice dead"
    assert row == ["noaa_stations_ca", "123,456", "10", "2", "2", "0", "0"]


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
