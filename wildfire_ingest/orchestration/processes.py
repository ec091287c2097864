"""Whether the process of a run still lives, told by a tag that the run sets on itself.

Dagster's default launcher never notices that a run's process is gone once its code server is.
The tag names the machine's boot, the PID namespace, the process and its start time (Linux,
proc(5)), so the answer is exact where it can be given, and unknown elsewhere.  It names the run
too: Dagster copies the tags of a run to its re-execution and its retry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

PROCESS_TAG = "wildfire/process"
NAMED_WITHIN_S = 60.0
_STATE, _START_TIME = 0, 19
"""Places in /proc/<pid>/stat after the command's name: states Z and X are dead processes."""


def own_process() -> str | None:
    """The process that asks, in the tag's words; None where the system does not tell."""
    place, started = _place(), _started(os.getpid())
    return None if place is None or started is None else f"{place}:{os.getpid()}:{started}"


def is_gone(process: str | None) -> bool:
    """Whether that process certainly lives no more; False where it cannot be known from here."""
    words = (process or "").rsplit(":", 2)
    if len(words) != 3 or not words[1].isdecimal() or words[0] != _place():  # noqa: PLR2004 - as written
        return False
    return _started(int(words[1])) != words[2]


def is_lost(run_id: str, tags: Mapping[str, str], started_s: float | None, now_s: float) -> bool:
    """Whether a run that Dagster holds for started certainly has no process any more.

    The tag is the first thing that a run sets: one that has none for long died before it could.
    """
    whose, _, process = tags.get(PROCESS_TAG, "").partition(" ")
    if whose == run_id or own_process() is None:
        return whose == run_id and is_gone(process)
    return started_s is not None and now_s - started_s > NAMED_WITHIN_S


def name_process(instance: dg.DagsterInstance, run_id: str) -> None:
    """Put the tag on this process's run."""
    process = own_process()
    if process is not None:
        instance.add_run_tags(run_id, {PROCESS_TAG: f"{run_id} {process}"})


def bury_if_lost(instance: dg.DagsterInstance, record: Any, now_s: float) -> bool:
    """Declare a run ended whose process is gone, so that it keeps no slot; True where it was.

    `record` is Dagster's RunRecord, whose class is private.
    """
    run = record.dagster_run
    if not is_lost(run.run_id, run.tags, record.start_time, now_s):
        return False
    bury(instance, run, "its process is gone, and nobody was there to say so")
    return True


def bury(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> None:
    """Declare a run failed; canceled where a person had asked for that."""
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message=why)
    else:
        instance.report_run_failed(run, message=why)


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
