"""A spool is read beside its owner, without being changed or locked."""

import os
import subprocess
import sys

import numpy as np
import pytest

from wildfire_ingest.errors import SpoolCorrupt
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.load import ID_ROW, Rows, pack
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool, State
from wildfire_ingest.observe.spool_view import SpoolView, owner_of, view
from wildfire_ingest.record import Lane

NOW_US = 1_786_795_200_000_000


def packed(lane, n):
    ids = np.zeros(n, ID_ROW)
    ids["lo"] = range(n)
    rows = Rows(["fires"] * n, ["x"] * n, [b"k"] * n, [b"{}"] * n, ids, {})
    return pack(lane, rows)


def seen(directory, **options) -> SpoolView:
    found = view(directory, "firms", **options)
    assert found is not None
    return found


@pytest.fixture
def spool(tmp_path):
    opened = Spool(SpoolSettings(directory=tmp_path, source_id="firms", window_s=86_400))
    yield opened
    opened.close()


def append(spool, *loads):
    n = sum(load.n for load in loads)
    spool.append(loads, b'{"at":1}', Ledger(fetched=n, accepted=n), NOW_US)


def test_a_source_that_never_ran_has_no_view_and_leaves_no_file(tmp_path):
    assert view(tmp_path, "firms") is None
    assert owner_of(tmp_path, "firms") is None
    assert list(tmp_path.iterdir()) == []


def test_what_the_owner_has_committed_is_seen_while_it_runs(spool, tmp_path):
    append(spool, packed(Lane.HIGH, 3), packed(Lane.LOW, 2))
    spool.mark_published({Lane.HIGH: 1}, NOW_US, {})

    found = seen(tmp_path, with_loads=True)

    assert found.ledger == spool.ledger()
    assert found.ledger.faults() == ()
    assert found.pending == spool.pending_totals()
    assert found.lanes[Lane.HIGH].published == 3
    assert (found.cursor, found.oldest_pending_us) == ('{"at":1}', NOW_US)
    assert [(load.state, len(load.rows)) for load in found.loads] == [
        (State.PUBLISHED, 3),
        (State.PENDING, 2),
    ]


def test_reading_takes_no_lock_from_the_owner(spool, tmp_path):
    with spool.transaction() as db:
        db.execute("INSERT INTO gaps VALUES (1, 'test', 'open')")
        assert seen(tmp_path).last_gap is None

    assert seen(tmp_path).last_gap == (1, "test", "open")


def test_the_owner_is_the_process_that_holds_the_lock(spool, tmp_path):
    assert owner_of(tmp_path, "firms") == str(os.getpid())

    spool.close()

    assert owner_of(tmp_path, "firms") is None


def test_a_killed_owner_is_no_owner_and_its_commits_are_seen(tmp_path):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from wildfire_ingest.intake.spool import Spool\n"
        "from wildfire_ingest.intake.settings import SpoolSettings\n"
        "from wildfire_ingest.intake.ledger import Ledger\n"
        "s = Spool(SpoolSettings(directory=Path(sys.argv[1]), source_id='firms', window_s=1))\n"
        "s.append([], b'{}', Ledger(fetched=5, duplicate=5), 1)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    assert owner_of(tmp_path, "firms") is None
    assert seen(tmp_path).ledger == Ledger(fetched=5, duplicate=5)


def test_a_file_that_is_no_spool_is_an_error_of_ours(tmp_path):
    (tmp_path / "firms.db").write_bytes(b"not a database" * 100)

    with pytest.raises(SpoolCorrupt, match="sets it aside"):
        view(tmp_path, "firms")
