"""`preview` shows what would be sent, and touches nothing."""

import gzip
import json

import pytest

from wildfire_ingest_tests.cli.answers import SOURCE, answer


def rows(found):
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_a_stored_answer_is_shown_as_records(wildfire, write_config, tmp_path):
    body = tmp_path / "body.csv"
    body.write_bytes(answer(1, 2))

    found = wildfire("preview", SOURCE, "--body", body, config=write_config())

    assert found.exit_code == 0
    assert [(one["latitude"], one["source_id"], one["revision"]) for one in rows(found)] == [
        (1, SOURCE, 0),
        (2, SOURCE, 0),
    ]
    assert "2 fetched, 2 accepted" in found.stderr


def test_stored_answers_follow_one_another_as_polls(wildfire, write_config, tmp_path):
    first, second = tmp_path / "1.csv", tmp_path / "2.csv.gz"
    first.write_bytes(answer(1, 2))
    second.write_bytes(gzip.compress(answer(2) + answer(1, frp="70").split(b"\n", 1)[1]))

    found = wildfire("preview", SOURCE, "--body", first, "--body", second, config=write_config())

    assert [(one["latitude"], one["revision"]) for one in rows(found)] == [(1, 0), (2, 0), (1, 1)]
    assert "4 fetched, 1 duplicate, 3 accepted, 1 revised" in found.stderr


def test_a_bad_row_is_told_on_stderr_with_its_controls_escaped(wildfire, write_config, tmp_path):
    body = tmp_path / "body.csv"
    body.write_bytes(answer(1, "no\x1b[31mrth"))

    found = wildfire("preview", SOURCE, "--body", body, config=write_config())

    assert len(rows(found)) == 1
    assert "reject: " in found.stderr
    assert "no\\x1b[31mrth" in found.stderr
    assert "1 rejected" in found.stderr


def test_an_answer_older_than_the_window_is_read_as_of_its_own_time(
    wildfire, write_config, tmp_path
):
    body = tmp_path / "body.csv"
    body.write_bytes(answer(1, day="2022-02-26"))

    found = wildfire("preview", SOURCE, "--body", body, config=write_config())

    assert [one["ingested_at"] for one in rows(found)] == ["2022-02-26T00:00:00Z"]
    assert "read as if it had come at 2022-02-26" in found.stderr


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("page.csv", b"<!DOCTYPE html><html>Access Denied</html>"),
        ("text.csv", b"Invalid MAP_KEY.\n"),
        ("empty.csv", b""),
        ("torn.csv.gz", gzip.compress(b"latitude,longitude\n")[:-9]),
    ],
)
def test_what_is_no_answer_ends_with_1(wildfire, write_config, tmp_path, name, body):
    path = tmp_path / name
    path.write_bytes(body)

    found = wildfire("preview", SOURCE, "--body", path, config=write_config())

    assert (found.exit_code, found.stdout) == (1, "")
    assert len(found.stderr.splitlines()) == 1


def test_a_fetch_asks_once_and_changes_no_state(wildfire, write_config, replay, tmp_path):
    config = write_config(base_url=replay(answer(1), answer(2)), source={"cache_ttl_seconds": 60})

    first = wildfire("preview", SOURCE, config=config)
    second = wildfire("preview", SOURCE, config=config)

    assert [one["latitude"] for one in [*rows(first), *rows(second)]] == [1, 2]
    assert not (tmp_path / "state").exists()


def test_a_source_that_is_down_ends_with_1_and_one_line(wildfire, write_config):
    found = wildfire("preview", SOURCE, config=write_config(source={"timeout_seconds": 1}))

    assert found.exit_code == 1
    assert len(found.stderr.splitlines()) == 1
    assert "; --body FILE reads a stored answer without network" in found.stderr
