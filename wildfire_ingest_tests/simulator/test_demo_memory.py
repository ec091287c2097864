"""The memory of a process and all that it started."""

import subprocess
import sys

from wildfire_ingest.simulator.demo_memory import memory_of_family


def test_what_a_process_started_counts_with_it():
    alone = memory_of_family()
    code = "held = b'x' * 50_000_000; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()

        together = memory_of_family()

        child.kill()
    assert alone is not None
    assert together is not None
    assert together.processes == alone.processes + 1
    assert together.n_bytes - alone.n_bytes > 40_000_000


def test_where_nothing_tells_nothing_is_told(tmp_path):
    assert memory_of_family(proc=tmp_path) is None


def test_a_name_with_brackets_and_spaces_hides_no_child(tmp_path):
    for pid, parent, name in ((1, 0, "a"), (2, 1, ") S 9 (b c"), (3, 9, "d")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1")
        (tmp_path / str(pid) / "smaps_rollup").write_text("Rss: 9 kB\nPss:   2 kB\n")

    assert memory_of_family(1, tmp_path) == (2, 4096)
