"""Whether the process of a run still lives, told by a tag that the run sets on itself.

Dagster's default launcher never notices that a run's process is gone once its code server is.
The tag names the machine's boot, the PID namespace, the process and its start time (Linux,
proc(5)), so the answer is exact where it can be given, and unknown elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

PROCESS_TAG = "wildfire/process"
_STATE, _START_TIME = 0, 19
"""Places in /proc/<pid>/stat after the command's name: states Z and X are dead processes."""


def own_process() -> str | None:
    """The tag of the process that asks; None where the system does not tell."""
    place, started = _place(), _started(os.getpid())
    return None if place is None or started is None else f"{place}:{os.getpid()}:{started}"


def is_gone(tag: str | None) -> bool:
    """Whether that process certainly lives no more; False where it cannot be known from here."""
    words = (tag or "").rsplit(":", 2)
    if len(words) != 3 or not words[1].isdecimal() or words[0] != _place():  # noqa: PLR2004 - as written
        return False
    return _started(int(words[1])) != words[2]


def name_process(instance: dg.DagsterInstance, run_id: str) -> None:
    """Put the tag on this process's run."""
    tag = own_process()
    if tag is not None:
        instance.add_run_tags(run_id, {PROCESS_TAG: tag})


def bury_if_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Declare a run failed whose process is gone, so that it keeps no slot; True where it was."""
    if not is_gone(run.tags.get(PROCESS_TAG)):
        return False
    instance.report_run_failed(run, message="its process is gone, and nobody was there to say so")
    return True


def _place() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None
    return f"{boot}/{namespace}"


def _started(pid: int) -> str | None:
    """When it started, in clock ticks since the boot; None where it lives no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[_STATE] in {"Z", "X"} else fields[_START_TIME]
