"""What a supervisor does about one continuous source: launch, drain, bury, or let it be.

Decides from what Dagster says of the source's runs, and touches nothing.  Times in seconds
since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Action = Literal["leave", "launch", "drain", "bury", "cancel_duplicate"]

STALE_AFTER_S = 120.0
"""Four missed heartbeats: the process is gone or stands still, whatever its status says."""
STARTED_WITHIN_S = 180.0
"""A run that was submitted and has not begun by then lost its process on the way."""
LASTS_S = 30.0
"""A run that ended well before that had nothing to do here: it counts as a failure."""
FIRST_WAIT_S = 10.0
LONGEST_WAIT_S = 600.0
"""Pauses between launches that fail: none, then 10 s, 20 s … 10 min."""

WAITING = frozenset({"QUEUED", "NOT_STARTED"})
BEGINNING = frozenset({"STARTING"})
WORKING = frozenset({"STARTED", "CANCELING"})
LIVE = WAITING | BEGINNING | WORKING


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run of the source's continuous job."""

    run_id: str
    status: str
    fingerprint: str
    created_s: float
    started_s: float | None = None
    ended_s: float | None = None
    heartbeat_s: float | None = None
    is_draining: bool = False
    is_gone: bool = False
    """Its process certainly lives no more."""
    is_duplicate: bool = False
    """This supervisor canceled it in the queue, because another run was streaming."""

    @property
    def last_sign_s(self) -> float:
        """When it was last known to live."""
        return max(self.heartbeat_s or 0.0, self.started_s or 0.0, self.created_s)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, to which run, and why in words for the sensor's tick."""

    action: Action
    reason: str
    run_id: str = ""


def decide(
    runs: Sequence[RunView], *, fingerprint: str, now_s: float, switched_on_s: float = 0.0
) -> Decision:
    """The one thing to do now; `runs` are newest first, `switched_on_s` the sensor's last start."""
    live = [run for run in runs if run.status in LIVE]
    if not live:
        return _launch_or_wait(runs, fingerprint, now_s, switched_on_s)
    lost = next((run for run in live if _is_lost(run, now_s)), None)
    if lost is not None:
        silent_s = now_s - lost.last_sign_s
        return Decision(
            "bury", f"run {lost.run_id} has been silent for {silent_s:.0f} s", lost.run_id
        )
    working = [run for run in live if run.status in WORKING]
    waiting = [run for run in live if run.status in WAITING]
    if working and waiting:
        reason = f"run {working[-1].run_id} is streaming already"
        return Decision("cancel_duplicate", reason, waiting[0].run_id)
    current = (working or live)[-1]
    if current.fingerprint != fingerprint and current.status == "STARTED":
        if current.is_draining:
            return Decision("leave", f"run {current.run_id} drains, then the new one starts")
        return Decision("drain", "the configuration or the program has changed", current.run_id)
    return Decision("leave", f"run {current.run_id} is {current.status.lower()}")


def _is_lost(run: RunView, now_s: float) -> bool:
    if run.is_gone:
        return True
    silent_s = now_s - run.last_sign_s
    if run.status in BEGINNING:
        return silent_s > STARTED_WITHIN_S
    return run.status in WORKING and silent_s > STALE_AFTER_S


def _launch_or_wait(
    runs: Sequence[RunView], fingerprint: str, now_s: float, switched_on_s: float
) -> Decision:
    ended = [run for run in runs if not run.is_duplicate]
    if not ended:
        return Decision("launch", "it has not run yet")
    last = ended[0]
    ended_s = last.ended_s or last.created_s
    if last.fingerprint != fingerprint:
        return Decision("launch", "the configuration or the program has changed")
    if ended_s < switched_on_s:
        return Decision("launch", "its sensor was switched on")
    if last.status == "CANCELED":
        return Decision(
            "leave",
            f"run {last.run_id} was ended by hand: launch its job, or switch this sensor off and"
            " on, to start the source again",
        )
    failures = _failures(ended, fingerprint, switched_on_s)
    wait_s = pause_s(failures) - (now_s - ended_s)
    if wait_s > 0:
        return Decision("leave", f"{failures} runs in a row failed: the next in {wait_s:.0f} s")
    return Decision("launch", f"run {last.run_id} has ended ({last.status.lower()})")


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row; the first is repeated at once."""
    if failures < 2:  # noqa: PLR2004 - the first failure alone
        return 0.0
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 2, 32), LONGEST_WAIT_S)


def _failures(ended: Sequence[RunView], fingerprint: str, switched_on_s: float) -> int:
    """Failed runs in a row, of this configuration, since the sensor was switched on.

    One that streamed for longer than the longest pause begins a new row.
    """
    count = 0
    for run in ended:
        ended_s = run.ended_s or run.created_s
        same = run.fingerprint == fingerprint and ended_s >= switched_on_s
        if not same or not (run.status == "FAILURE" or _was_short(run)):
            break
        count += 1
        if run.started_s is not None and ended_s - run.started_s > LONGEST_WAIT_S:
            break
    return count


def _was_short(run: RunView) -> bool:
    if run.is_draining or run.started_s is None or run.ended_s is None:
        return False
    return run.status == "SUCCESS" and run.ended_s - run.started_s < LASTS_S
