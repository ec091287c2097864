"""The spool's file is ours alone, opened by one process, and never trusted blindly."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wildfire_ingest.errors import SpoolBusy, SpoolError
from wildfire_ingest.intake import spool_file
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.intake.spool_file import SCHEMA_VERSION, SpoolFile
from wildfire_ingest.record import Lane
from wildfire_ingest_tests.intake.packing import packed


def opened(folder: Path) -> Spool:
    return Spool(
        SpoolSettings(directory=folder, source_id="s", window_s=86_400, min_free_disk_bytes=0)
    )


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = opened(tmp_path)

    with pytest.raises(SpoolBusy, match=f"process {os.getpid()}"):
        opened(tmp_path)

    first.close()
    opened(tmp_path).close()


def test_one_who_only_asks_whether_it_runs_is_no_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` holds the lock for microseconds; a source that starts just then starts."""
    asking = os.open(tmp_path / "s.lock", os.O_CREAT | os.O_RDONLY, 0o600)
    fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    waits: list[float] = []

    def let_go(seconds: float) -> None:
        waits.append(seconds)
        fcntl.flock(asking, fcntl.LOCK_UN)

    monkeypatch.setattr(spool_file, "_wait", let_go)

    opened(tmp_path).close()

    os.close(asking)
    assert len(waits) == 1


def test_an_owner_who_stays_is_waited_for_only_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, waits = opened(tmp_path), list[float]()
    monkeypatch.setattr(spool_file, "_wait", waits.append)

    with pytest.raises(SpoolBusy):
        opened(tmp_path)

    first.close()
    assert 0 < sum(waits) <= 0.1


def test_another_process_is_kept_out_too(tmp_path: Path) -> None:
    first = opened(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from wildfire_ingest.intake.spool_file import SpoolFile\n"
        "from wildfire_ingest.errors import SpoolBusy\n"
        "try: SpoolFile(Path(sys.argv[1]), 's')\n"
        "except SpoolBusy: print('busy')"
    )

    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == "busy"
    first.close()


def test_two_sources_run_side_by_side(tmp_path: Path) -> None:
    a, b = SpoolFile(tmp_path, "a"), SpoolFile(tmp_path, "b")

    a.close()
    b.close()


def test_nobody_else_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        spool = opened(tmp_path / "state")
        spool.append([packed()], b"1", Ledger(), 1)
    finally:
        os.umask(before)

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").iterdir()}
    spool.close()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert set(modes) == {"s.db", "s.lock", "s.db-wal", "s.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["s.db", "s.lock"])
def test_a_symbolic_link_in_its_place_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "state").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "state" / name).symlink_to(victim)

    with pytest.raises((SpoolError, OSError)):
        opened(tmp_path / "state")

    assert victim.read_text() == "mine"


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "real")

    with pytest.raises(SpoolError, match="symbolic link"):
        opened(tmp_path / "state")

    assert list((tmp_path / "real").iterdir()) == []


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    db = sqlite3.connect(tmp_path / "s.db")
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()

    with pytest.raises(SpoolError, match=f"schema {SCHEMA_VERSION + 1}"):
        opened(tmp_path)

    assert [p.name for p in tmp_path.iterdir() if "corrupt" in p.name] == []
    with pytest.raises(SpoolError, match="schema"):  # the lock was given back
        opened(tmp_path)


def test_a_file_that_is_no_database_is_moved_aside_whole(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database at all" * 100)

    spool = opened(tmp_path)

    assert spool.set_aside == tmp_path / "s.corrupt-1"
    assert spool.set_aside.read_bytes() == b"not a database at all" * 100
    assert spool.ledger() == Ledger()
    spool.close()


def test_a_torn_file_is_moved_aside_and_a_second_one_too(tmp_path: Path) -> None:
    for n in (1, 2):
        spool = opened(tmp_path)
        spool.append([packed(n=50, size=2_000)], b"1", Ledger(), 1)
        spool.close()
        whole = (tmp_path / "s.db").read_bytes()
        (tmp_path / "s.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

        again = opened(tmp_path)

        assert again.set_aside == tmp_path / f"s.corrupt-{n}"
        assert again.pending(Lane.NORMAL, 0) == []
        again.close()


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    spool = opened(tmp_path)

    spool.close()
    spool.close()


def test_a_state_dir_that_is_a_file_is_named_as_such(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text("not a folder")

    with pytest.raises(SpoolError, match="is a file; expected a folder"):
        SpoolFile(place, "source")
