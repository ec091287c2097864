"""A person pauses and resumes sources; what runs obeys."""

import json

import pytest

from wildfire_ingest.cli import exits
from wildfire_ingest.cli.pause import in_words
from wildfire_ingest.intake.pause import Pause, paused
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def run_once(wildfire, config):
    return wildfire("run", SOURCE, "--once", config=config)


def test_a_paused_source_does_not_begin_and_says_why(wildfire, write_config, state):
    config = write_config()

    told = wildfire("pause", SOURCE, "--reason", "API key is renewed", config=config)
    found = run_once(wildfire, config)

    assert (told.exit_code, found.exit_code) == (0, 0)
    summary = json.loads(found.stdout)
    assert (summary["ending"], summary["polls"], summary["succeeded"]) == ("stopped", 0, True)
    assert summary["message"].startswith("paused since 20")
    assert summary["message"].endswith("(API key is renewed)")
    assert found.stderr.splitlines()[-1].endswith(
        f"`wildfire-ingest resume {SOURCE}` lets it run again"
    )
    assert not (state / f"{SOURCE}.db").exists()


def test_a_resumed_source_runs(wildfire, write_config, state):
    config = write_config(source={"timeout_seconds": 1})
    wildfire("pause", SOURCE, config=config)

    told = wildfire("resume", SOURCE, config=config)

    assert paused(state, SOURCE) is None
    assert told.exit_code == 0
    assert f"{SOURCE}: may run again; was paused since" in told.stdout


def test_pausing_and_resuming_twice_changes_nothing(wildfire, write_config, state):
    config = write_config()
    wildfire("pause", SOURCE, "--reason", "first", config=config)
    first = paused(state, SOURCE)

    again = wildfire("pause", SOURCE, "--reason", "second", config=config)
    kept = paused(state, SOURCE)
    wildfire("resume", SOURCE, config=config)
    twice = wildfire("resume", SOURCE, config=config)

    assert kept == first
    assert "paused already, since" in again.stdout
    assert "(first)" in again.stdout
    assert (twice.exit_code, twice.stdout) == (0, f"{SOURCE}: was not paused\n")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_unknown_source_leaves_no_mark(wildfire, write_config, state, command):
    found = wildfire(command, SOURCE, "nobody", config=write_config())

    assert found.exit_code == exits.USAGE
    assert "no source 'nobody'" in found.stderr
    assert not state.exists()


def test_a_reason_is_bounded(wildfire, write_config, state):
    found = wildfire("pause", SOURCE, "--reason", "x" * 201, config=write_config())

    assert found.exit_code == exits.USAGE
    assert "found 201 characters; expected at most 200" in found.stderr
    assert paused(state, SOURCE) is None


def test_a_reason_cannot_steer_a_terminal_and_holds_no_secret(wildfire, write_config, state):
    config = write_config()
    hostile = f"a\x1b[2J\u202eb {MAP_KEY}"

    told = wildfire("pause", SOURCE, "--reason", hostile, config=config)
    again = wildfire("pause", SOURCE, config=config)
    found = run_once(wildfire, config)

    for text in (told.output, again.output, found.output, (state / f"{SOURCE}.paused").read_text()):
        assert MAP_KEY not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("astral", ["\U000e0001", "\ud800"])
def test_the_longest_reason_fits_its_mark(wildfire, write_config, state, astral):
    wildfire("pause", SOURCE, "--reason", astral * 200, config=write_config())

    mark = paused(state, SOURCE)
    assert mark is not None
    assert mark.since_us > 0


@pytest.mark.parametrize("mark", [Pause(0), Pause(1 << 62, "late"), Pause(-5)])
def test_a_mark_that_makes_no_sense_is_told_as_such(mark):
    assert in_words(mark) == "(its mark cannot be read)"


def test_waiting_ends_at_once_where_nothing_runs(wildfire, write_config):
    found = wildfire("pause", SOURCE, "--wait", "600", config=write_config())

    assert found.exit_code == 0
    assert f"{SOURCE}: does not run; nothing waits" in found.stdout


def test_waiting_in_vain_ends_with_1_and_names_the_process(wildfire, write_config, state):
    spool = Spool(SpoolSettings(directory=state, source_id=SOURCE, window_s=1))
    try:
        found = wildfire("pause", SOURCE, "--wait", "0.1", config=write_config())
    finally:
        spool.close()

    assert found.exit_code == exits.WRONG
    assert "stops polling, delivers what waits and ends" in found.stdout
    assert "still runs it after 0.1 s" in found.stderr


def test_a_disabled_source_that_is_named_runs_with_a_remark(wildfire, write_config):
    config = write_config(source={"enabled": False})
    wildfire("pause", SOURCE, config=config)

    found = run_once(wildfire, config)

    assert found.exit_code == 0
    assert f"note: {SOURCE} is disabled (enabled: false)" in found.stderr
