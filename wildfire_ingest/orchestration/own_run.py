"""What a long run asks of Dagster about itself: is it still wanted, and does anyone believe that
it lives.

Its process may outlive what started it (a code server that is killed leaves its runs behind), and
Dagster may have given it up while it stood still: so it looks for itself.  Each look is a read of
a few milliseconds; the heartbeat is a run tag, which is written in place and grows nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus

from wildfire_ingest.orchestration.translator import DRAIN_TAG, HEARTBEAT_TAG

LOG = logging.getLogger("wildfire_ingest.run")
Wish = Literal["terminated", "fenced", "drain"]
"""terminated: a person wants it to end; fenced: Dagster holds it for ended; drain: end well."""


@dataclass(frozen=True, slots=True)
class End:
    """Why the run should end, in a word and in a sentence."""

    wish: Wish
    reason: str


class OwnRun:
    """One run, seen by itself."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str, sensor_name: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._sensor_name = sensor_name
        run = instance.get_run_by_id(run_id)
        origin = run.remote_job_origin if run is not None else None
        self._location = origin.location_name if origin is not None else None
        # A run that a person starts while the sensor is off is meant to run.
        self._was_on = not self._is_switched_off()

    def end_wanted(self) -> End | None:
        """Whether Dagster's records say that this run should end."""
        run = self._instance.get_run_by_id(self._run_id)
        if run is None:
            return End("fenced", "its run was deleted")
        if run.status in {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}:
            return End("terminated", "terminated in Dagster")
        if run.is_finished:
            return End("fenced", f"Dagster holds it for ended: {run.status.value}")
        drain = run.tags.get(DRAIN_TAG)
        return None if drain is None else End("drain", drain)

    def end_wanted_by_switch(self) -> End | None:
        """Whether its supervising sensor was switched off while it ran."""
        is_off = self._is_switched_off()
        if is_off and self._was_on:
            return End("drain", f"sensor {self._sensor_name} was switched off")
        self._was_on = self._was_on or not is_off
        return None

    def beat(self, now_s: float) -> None:
        """Say that it lives."""
        self._instance.add_run_tags(self._run_id, {HEARTBEAT_TAG: f"{now_s:.0f}"})

    def ends_well(self, reason: str) -> None:
        """Say that its end is wanted: its supervisor then counts no failure."""
        self._instance.add_run_tags(self._run_id, {DRAIN_TAG: reason})

    def _is_switched_off(self) -> bool:
        stopped = self._instance.all_instigator_state(
            instigator_type=InstigatorType.SENSOR,
            instigator_statuses={InstigatorStatus.STOPPED},
        )
        return any(
            state.instigator_name == self._sensor_name
            and self._location
            in (None, state.origin.repository_origin.code_location_origin.location_name)
            for state in stopped
        )
