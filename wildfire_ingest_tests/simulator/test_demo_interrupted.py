"""A demo that is interrupted, at any moment, leaves no process behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wildfire_ingest.simulator import brokers

MARK = "DEMO_OF"
pytestmark = [
    pytest.mark.dagster_processes,
    pytest.mark.skipif(
        brokers.missing_requirements(brokers.EMBEDDED) is not None,
        reason="the embedded broker is not installed",
    ),
]


@contextlib.contextmanager
def demo_in(folder, *options):
    """A running demo, all of whose processes carry a mark; killed at the end."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "wildfire_ingest.cli.main", "demo", *options],
        cwd=folder,
        env={**os.environ, MARK: str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(150, demo.kill)
    watchdog.start()
    try:
        yield demo
    finally:
        watchdog.cancel()
        demo.kill()
        demo.wait()


def shown_until(demo, words):
    """What it showed until a line with these words."""
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if words in line:
            break
    return "".join(shown)


def left_of(folder):
    """Processes, by id, that inherited the mark (Linux)."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def test_ctrl_c_while_a_source_streams_leaves_no_process_behind(tmp_path):
    with demo_in(tmp_path) as demo:
        shown = shown_until(demo, "streaming ")
        during = left_of(tmp_path)
        began = time.monotonic()
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate(timeout=60)[0]

    assert "not durable" in shown
    assert "Ctrl-C ends it" in shown
    assert len(during) >= 5, shown
    assert "nothing is left running" in rest
    assert demo.returncode == 0
    assert time.monotonic() - began < 40
    assert left_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_leaves_no_process_behind(tmp_path, number):
    with demo_in(tmp_path, "--seconds", "60") as demo:
        shown_until(demo, "Folder:")
        demo.send_signal(number)
        rest = demo.communicate(timeout=60)[0]

    assert "nothing is left running" in rest
    assert "Traceback" not in rest
    assert demo.returncode != 0
    assert left_of(tmp_path) == []
