"""A real_time source in Dagster: the sensor that looks whether there is news.

A look asks the API as a poll would and takes nothing in (engine/look.py).  With news the sensor
asks for a run, which takes the look's answer over without asking again; with `execution: inline`
the tick itself polls and delivers, and no run is made.  A tick that is evaluated again does the
same again: the watermark is the spool's, and moves only with the rows.  Seconds.  Annotations are
not postponed here: Dagster reads the types of a sensor's parameters.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import msgspec

from wildfire_ingest.assembly import build_source
from wildfire_ingest.clock import SECOND_US, SystemClock, iso_utc
from wildfire_ingest.config.model import StreamConfig
from wildfire_ingest.config.source import SourceModel
from wildfire_ingest.engine.look import Look, look
from wildfire_ingest.engine.ports import Fetcher
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.errors import IngestError, SpoolBusy, SpoolCorrupt
from wildfire_ingest.intake.pause import paused
from wildfire_ingest.observe.spool_view import SpoolView, owner_of, view
from wildfire_ingest.orchestration import batch, tick, translator
from wildfire_ingest.orchestration.reporter import WindowReporter, records_sent
from wildfire_ingest.orchestration.resources import (
    ApiClientResource,
    KafkaProducerResource,
    Resources,
    ThrottlerResource,
)
from wildfire_ingest.orchestration.source_engine import source_engine

ANSWER_S = 12.0
"""Deadline of one request of a tick, its retries included."""
GIVE_UP_S = 5.0
"""A tick does not wait longer for a broker: what is spooled goes with the next one."""
DRAIN_S = 3.0
MAX_REASON_CHARS = 1000
AssetEvent = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


def poll_sensor(config: StreamConfig, source: SourceModel, job: Any) -> dg.SensorDefinition:
    """`poll_<id>`; on from the start, a person's toggle in the UI wins."""
    inline = source.is_inline
    does = "delivers what is new" if inline else "starts a run where there is news"
    reporter = WindowReporter(config, source)

    @dg.sensor(
        name=f"poll_{source.source_id}",
        job=job,
        minimum_interval_seconds=math.ceil(source.poll_interval_s or 1),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks at the API of {source.source_id} and {does}.",
    )
    def poll(
        context: dg.SensorEvaluationContext,
        api: ApiClientResource,
        kafka: KafkaProducerResource,
        throttler: ThrottlerResource,
    ) -> dg.SensorResult | dg.SkipReason:
        with tick.alone(source.source_id) as is_alone, tick.time_limit(tick.STOP_AFTER_S) as stop:
            if not is_alone:
                return dg.SkipReason("its last tick has not ended yet")
            obstacle = _obstacle(context.instance, config, source)
            if obstacle is not None:
                return dg.SkipReason(obstacle)
            memory = tick.remembered(context.cursor)
            resources = (api, kafka, throttler)
            leave_us = SystemClock().monotonic_us() + int(tick.LEAVE_AFTER_S * SECOND_US)
            return _Tick(config, source, resources, memory, stop, leave_us, reporter).outcome()

    return poll


def _obstacle(
    instance: dg.DagsterInstance, config: StreamConfig, source: SourceModel
) -> str | None:
    """Why nothing is asked in this tick."""
    source_id = source.source_id
    pause = paused(config.state_dir, source_id)
    if pause is not None:
        why = f": {pause.reason}" if pause.reason else ""
        since = f"since {iso_utc(pause.since_us)}"
        return f"paused {since}{why}; wildfire-ingest resume {source_id} lets it go on"
    unfinished = batch.unfinished_run(instance, f"ingest_{source_id}", SystemClock().now_us())
    if unfinished is not None:
        return f"run {unfinished} of this source has not ended yet"
    wait_s = batch.wait_after_failures_s(instance, f"ingest_{source_id}", SystemClock().now_us())
    if wait_s:
        return f"its last runs failed: the next in {wait_s:.0f} s"
    owner = owner_of(config.state_dir, source_id)
    return None if owner is None else f"the source runs already: process {owner}"


@dataclass(frozen=True, slots=True)
class _Tick:
    """One tick that nothing stands in the way of."""

    config: StreamConfig
    source: SourceModel
    resources: Resources
    memory: tick.Memory
    stop: threading.Event
    leave_us: int
    """When the tick ends whatever still goes on; monotonic."""
    reporter: WindowReporter

    def outcome(self) -> dg.SensorResult:
        with self._fetcher() as fetcher:
            try:
                found = self._news(fetcher)
            except IngestError as error:
                return self._failed(str(error), fetcher.counters.api_errors)
        if not found.news:
            return self._skipped("nothing new")
        if self.source.is_inline:
            return self._delivered()
        return self._requested(found)

    def _news(self, fetcher: Fetcher) -> Look:
        """What a run would find to do.  Raises FetchError, ConfigError."""
        known = self._spool()
        waiting = sum(n for n, _ in known.pending.values()) if known is not None else 0
        cursor = known.cursor.encode() if known is not None and known.cursor is not None else None
        if known is not None and waiting:
            return Look(f"{waiting} records wait in the spool", known.spool_id)
        fetcher.serve(known.spool_id if known is not None else "")
        origin = build_source(self.config, self.source.source_id)
        found = look(origin, fetcher, cursor, SystemClock().now_us(), self.stop)
        return found if known is not None else replace(found, news=found.news or "no spool yet")

    def _spool(self) -> SpoolView | None:
        try:
            return view(self.config.state_dir, self.source.source_id)
        except SpoolCorrupt:
            return None  # the run sets it aside

    @contextmanager
    def _fetcher(self) -> Iterator[Fetcher]:
        api, source_id = self.resources[0], self.source.source_id
        seconds = min(self.source.timeout_seconds, ANSWER_S)
        hurried = self.source.model_copy(update={"timeout_seconds": seconds})
        sources = {**self.config.sources, source_id: hurried}
        config = api.applied(self.config.model_copy(update={"sources": sources}))
        fetcher = api.client(source_id, config)
        try:
            yield fetcher
        finally:
            getattr(fetcher, "close", lambda: None)()

    # endings

    def _skipped(self, why: str, events: Sequence[AssetEvent] = ()) -> dg.SensorResult:
        """Nothing failed."""
        memory = tick.Memory(requested=self.memory.requested)
        return dg.SensorResult(skip_reason=why, cursor=memory.encode(), asset_events=events)

    def _requested(self, found: Look) -> dg.SensorResult:
        """A run; the same tick evaluated again asks for the same one."""
        n = self.memory.requested
        request = dg.RunRequest(
            run_key=f"{self.source.source_id}:{found.digest[:16]}:{n}",
            tags=translator.run_tags(self.config, self.source),
        )
        memory = tick.Memory(requested=n + 1)
        return dg.SensorResult(run_requests=[request], cursor=memory.encode())

    def _delivered(self) -> dg.SensorResult:
        """The run, here and now."""
        try:
            left_s = (self.leave_us - SystemClock().monotonic_us()) / SECOND_US
            summary = tick.within(self.source.source_id, left_s, self._run_once)
        except SpoolBusy as error:
            return self._skipped(f"the source runs already: {error}")
        except IngestError as error:
            return self._failed(str(error), 0)
        if summary is None:
            return self._failed("the delivery goes on; the ticks until its end are skipped", 0)
        events = self.reporter.events(summary)
        trouble = _trouble(summary)
        if trouble:
            return self._failed(trouble, summary.api_errors, events)
        return self._skipped(f"{records_sent(summary)} records delivered in this tick", events)

    def _run_once(self) -> RunSummary:
        source_id = self.source.source_id
        with source_engine(self.config, source_id, *self.resources, tune=_hurried) as engine:
            return engine.run_once(self.stop)

    def _failed(
        self, why: str, api_errors: int, events: Sequence[AssetEvent] = ()
    ) -> dg.SensorResult:
        """What was written is told always, that it failed ever more rarely."""
        memory = msgspec.structs.replace(
            self.memory,
            failed=self.memory.failed + 1,
            api_errors=self.memory.api_errors + api_errors,
        )
        observed = [event for event in events if isinstance(event, dg.AssetObservation)]
        told = [event for event in events if event not in observed]
        if memory.is_told:
            told = [*told, *(observed or [self._observation(memory, why)])]
            memory = msgspec.structs.replace(memory, api_errors=0)
        return dg.SensorResult(
            skip_reason=why[:MAX_REASON_CHARS], cursor=memory.encode(), asset_events=told
        )

    def _observation(self, memory: tick.Memory, why: str) -> dg.AssetObservation:
        return dg.AssetObservation(
            translator.source_key(self.source),
            metadata={
                "failed_polls": memory.untold,
                "api_errors": memory.api_errors,
                "stop_reason": why[:MAX_REASON_CHARS],
            },
        )


def _hurried(settings: EngineSettings) -> EngineSettings:
    """A run that fits into a tick."""
    return replace(settings, give_up_after_s=GIVE_UP_S, drain_s=DRAIN_S)


def _trouble(summary: RunSummary) -> str:
    """Why the tick is not as it should be; empty where it is."""
    if summary.ledger_faults:
        return "the books do not close: " + "; ".join(summary.ledger_faults)
    waiting = summary.ledger.pending
    if summary.succeeded and not waiting:
        return ""
    wait = f"; {waiting} records wait in the spool" if waiting else ""
    return f"{summary.message or summary.ending}{wait}"
