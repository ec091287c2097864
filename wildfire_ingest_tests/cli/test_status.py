"""`status` shows every source, whatever the state of one."""

import json
import random
import sqlite3

import pytest

from wildfire_ingest_tests.cli.answers import SOURCE

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
