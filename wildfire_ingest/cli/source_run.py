"""One source running in a thread of its own, watched from the main thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace

from wildfire_ingest.assembly import running_source
from wildfire_ingest.cli import exits
from wildfire_ingest.cli.pause import in_words
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.events import Observer
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.engine.summary import Ending, RunSummary
from wildfire_ingest.errors import Superseded
from wildfire_ingest.intake.ledger import Ledger
from wildfire_ingest.intake.pause import Pause, paused

Work = Callable[[Engine, threading.Event], RunSummary]
"""What a run does with its engine, until the event asks it to stop."""


class SourceRun:
    """One source's run, from its start to its summary."""

    def __init__(
        self,
        config: StreamConfig,
        source_id: str,
        work: Work,
        observer: Observer,
        *,
        permissions: Permissions | None = None,
        continuous: bool = False,
        heeds_pause: bool = True,
    ) -> None:
        self.source_id = source_id
        self.stop = threading.Event()
        """Set: it ends in good order."""
        self.paused: Pause | None = None
        """Why it stopped, or did not begin, where a person has paused the source."""
        self.summary: RunSummary | None = None
        """Set when the run has ended."""
        self.error: Exception | None = None
        self._config = config
        self._work = work
        self._observer = observer
        self._permissions = permissions
        self._continuous = continuous
        self._heeds_pause = heeds_pause
        self._watching = threading.Lock()
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._run, name=f"run-{source_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait so long at most; True when the run has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def heed_pause(self) -> None:
        """Ask it to stop where a person has paused the source."""
        if self._heeds_pause and self.paused is None:
            self.paused = paused(self._config.state_dir, self.source_id)
            if self.paused is not None:
                self.stop.set()

    def so_far(self) -> RunSummary | None:
        """The numbers now; None before the source has begun."""
        with self._watching:
            if self._engine is None:
                return self.summary
            return self._engine.snapshot()

    @property
    def code(self) -> int:
        """The exit code that this run stands for."""
        if self.error is not None:
            return exits.code_of(self.error)
        if self.summary is None or self.summary.ending == "superseded":
            return exits.SUPERSEDED if self.summary else exits.WRONG
        return exits.OK if self.summary.succeeded else exits.WRONG

    def _run(self) -> None:
        try:
            self.heed_pause()
            self.summary = self._with_pause(None if self.paused else self._summary())
        except Exception as error:  # noqa: BLE001 - one source's error is not another's
            self.error = error
            self.summary = _not_run(self.source_id, error)

    def _with_pause(self, summary: RunSummary | None) -> RunSummary:
        """The summary, which says so where a pause ended the run; None = it did not begin."""
        message = f"paused {in_words(self.paused)}" if self.paused else ""
        if summary is None:
            return RunSummary(
                source_id=self.source_id, ending="stopped", ledger=Ledger(), message=message
            )
        return replace(summary, message=message) if summary.ending == "stopped" else summary

    def _summary(self) -> RunSummary:
        with running_source(
            self._config,
            self.source_id,
            observer=self._observer,
            permissions=self._permissions,
            continuous=self._continuous,
        ) as engine:
            self._engine = engine
            try:
                return self._work(engine, self.stop)
            finally:
                with self._watching:  # nobody looks into a spool that is being closed
                    self._engine = None


def _not_run(source_id: str, error: Exception) -> RunSummary:
    ending: Ending = "superseded" if isinstance(error, Superseded) else "failed"
    return RunSummary(source_id=source_id, ending=ending, ledger=Ledger(), message=str(error))


def flat(summary: RunSummary) -> dict[str, object]:
    """A summary as one flat JSON object; its keys are stable."""
    found: dict[str, object] = {}
    for field in fields(summary):
        value = getattr(summary, field.name)
        if field.name == "ledger":
            found |= summary.ledger.as_dict()
        elif not isinstance(value, Ledger):
            found[field.name] = value
    return {**found, "succeeded": summary.succeeded}
