"""`status` shows every source, whatever the state of one."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest

from wildfire_ingest.cli.status_rows import age
from wildfire_ingest.clock import SECOND_US, SystemClock
from wildfire_ingest.engine.pace import Pace, Sample, encoded
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.pause import pause
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE

OTHER = {"source_type": "nasa_firms", "enabled": False}


def random_bytes(path):
    path.write_bytes(random.Random(1).randbytes(20_000))


def foreign_tables(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()


def foreign_values(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
        db.execute("CREATE TABLE meta (name, value)")
        db.execute("CREATE TABLE loads (lane, n, bytes, state)")
        db.execute("INSERT INTO loads VALUES (99, 'x', NULL, 0)")
    db.close()


@pytest.fixture(params=[random_bytes, foreign_tables, foreign_values])
def damaged(request, write_config, tmp_path):
    """A configuration of two sources, the first of which has a damaged file."""
    config = write_config()
    data = json.loads(config.read_text())
    data["sources"]["other"] = OTHER
    config.write_text(json.dumps(data))
    (tmp_path / "state").mkdir()
    request.param(tmp_path / "state" / f"{SOURCE}.db")
    return config


def test_a_damaged_source_is_a_row_beside_the_others_and_ends_with_1(wildfire, damaged):
    found = wildfire("status", config=damaged)

    assert found.exit_code == 1
    first, second = found.stdout.splitlines()[1:3]
    assert first.split()[:3] == [SOURCE, "real_time", "damaged"]
    assert second.split()[:3] == ["other", "real_time", "disabled"]
    assert f"{SOURCE}.db cannot be read" in found.stdout


def test_a_damaged_source_is_told_in_json_too(wildfire, damaged):
    found = wildfire("status", "--json", config=damaged)

    assert found.exit_code == 1
    first, second = map(json.loads, found.stdout.splitlines())
    assert f"{SOURCE}.db cannot be read" in first["damage"]
    assert (first["ledger"], second["damage"]) == (None, None)


# rates, freshness, pauses, lag


def seen(wildfire, config, *more):
    found = wildfire("status", "--json", *more, config=config)
    return json.loads(found.stdout.splitlines()[0])


@pytest.fixture
def opened(write_config, tmp_path):
    """A configuration and the open spool of its source: it runs."""
    spool = Spool(SpoolSettings(directory=tmp_path / "state", source_id=SOURCE, window_s=86_400))
    yield write_config(), spool
    spool.close()


def test_rates_and_freshness_are_read_while_the_source_runs(wildfire, opened):
    config, spool = opened
    now_us = SystemClock().now_us()
    minute_ago_us, hour_ago_s = now_us - 60 * SECOND_US, now_us // SECOND_US - 3600
    pace = Pace((Sample(minute_ago_us, 0, 0),), newest_observed_s=hour_ago_s)
    spool.set_meta(pace=encoded(pace))
    spool.append([], b"{}", Ledger(fetched=600, duplicate=600), now_us)

    found = seen(wildfire, config)
    table = wildfire("status", config=config).stdout

    assert found["rates"]["fetched_per_s"] == pytest.approx(10, rel=0.2)
    assert found["rates"]["published_per_s"] == 0
    assert found["rates"]["over_s"] == pytest.approx(60, abs=20)
    assert found["newest_observed_age_s"] == pytest.approx(3600, abs=20)
    assert 0 <= found["last_poll_age_s"] < 20
    assert found["running_as"]
    assert f"running ({found['running_as']})" in table
    assert " 60 min " in table


@pytest.mark.parametrize("stored", [None, "{", 5, '{"samples": [[1]]}'])
def test_a_spool_without_a_pace_that_can_be_read_has_no_rates(wildfire, opened, stored):
    config, spool = opened
    if stored is not None:
        spool.set_meta(pace=stored)

    found = seen(wildfire, config)

    assert (found["rates"], found["newest_observed_age_s"], found["last_poll_age_s"]) == (
        None,
        None,
        None,
    )
    assert wildfire("status", config=config).exit_code == 0


def test_a_source_that_never_ran_has_every_key(wildfire, write_config):
    found = seen(wildfire, write_config())

    new = ("rates", "newest_observed_age_s", "last_poll_age_s", "paused", "consumer_lag")
    assert [found[key] for key in new] == [None] * len(new)
    assert found["limits"]["circuit"] == "closed"


def test_a_pause_is_shown_with_its_reason(wildfire, write_config):
    config = write_config()
    wildfire("pause", SOURCE, "--reason", "moving house", config=config)

    found = seen(wildfire, config)
    table = wildfire("status", config=config).stdout

    assert found["paused"]["since"].startswith("20")
    assert found["paused"]["reason"] == "moving house"
    assert table.splitlines()[1].split()[2] == "paused"
    assert "(moving house)" in table


def test_a_paused_source_that_still_runs_is_pausing(wildfire, opened):
    config, _ = opened
    wildfire("pause", SOURCE, config=config)

    assert f"pausing ({os.getpid()})" in wildfire("status", config=config).stdout


def test_a_mark_of_somebody_elses_steers_no_terminal(wildfire, write_config, tmp_path):
    config = write_config()
    pause(tmp_path / "state", SOURCE, "\x1b[2J" + MAP_KEY + "x" * 900, 1)

    found = wildfire("status", config=config)
    as_json = wildfire("status", "--json", config=config)

    assert "\x1b" not in found.output
    assert MAP_KEY not in found.output + as_json.output


def test_lag_is_asked_only_where_it_is_wanted(wildfire, write_config):
    groups = {"throttling": {"consumer_groups": {"fires": ["dashboard"]}}}

    without = seen(wildfire, write_config())
    asked = seen(wildfire, write_config(), "--lag")
    configured = seen(wildfire, write_config(**groups))
    refused = seen(wildfire, write_config(**groups), "--no-lag")

    assert without["consumer_lag_unknown"] is None
    assert "no consumer group" in asked["consumer_lag_unknown"]
    assert "fires: no list of topics" in configured["consumer_lag_unknown"]
    assert refused["consumer_lag_unknown"] is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-3.0, "0 s"),
        (42.4, "42 s"),
        (119, "119 s"),
        (7199, "120 min"),
        (200_000, "2 d"),
    ],
)
def test_an_age_is_short(seconds, words):
    assert age(seconds) == words


def test_a_watch_looks_again_until_it_is_told_to_stop(write_config, damaged):
    command = [sys.executable, "-m", "wildfire_ingest.cli.main", "--config", str(damaged)]
    process = subprocess.Popen(
        [*command, "status", "--json", "--watch", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FIRMS_MAP_KEY": MAP_KEY},
    )
    assert process.stdout is not None
    looks = [json.loads(process.stdout.readline())["source_id"] for _ in range(6)]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert looks == [SOURCE, "other"] * 3
    assert (process.returncode, stderr) == (1, "")
