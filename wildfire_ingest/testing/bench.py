"""A whole source on a test bench: the real engine, intake and spool, the rest fakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wildfire_ingest.engine.engine import Engine
from wildfire_ingest.engine.parts import Parts
from wildfire_ingest.engine.ports import Source
from wildfire_ingest.engine.recover import Permissions
from wildfire_ingest.engine.settings import EngineSettings
from wildfire_ingest.engine.summary import RunSummary
from wildfire_ingest.exchange import Request
from wildfire_ingest.intake.intake import Intake, IntakeSettings
from wildfire_ingest.intake.settings import SpoolSettings
from wildfire_ingest.intake.spool import Spool
from wildfire_ingest.record import Lane
from wildfire_ingest.testing.api import FakeApi, Reply
from wildfire_ingest.testing.clock import FakeClock
from wildfire_ingest.testing.kafka import FakeKafka
from wildfire_ingest.testing.parts import FakeArchive, FakeLag, FakeRoutes, Recorder
from wildfire_ingest.testing.sink import FakeSink

TOPIC = "wildfire-default"
DLQ_TOPIC = "wildfire-dlq-failed-messages"


@dataclass(slots=True, kw_only=True)
class Bench:
    """One process's run of one source; every run has an engine and a sink of its own."""

    source: Source
    api: FakeApi
    kafka: FakeKafka
    clock: FakeClock
    spool: Spool
    settings: EngineSettings
    intake: Intake
    lag: FakeLag = field(default_factory=FakeLag)
    archive: FakeArchive = field(default_factory=FakeArchive)
    events: Recorder = field(default_factory=Recorder)
    crash: Callable[[str], None] = lambda _name: None

    def parts(self) -> Parts:
        """Everything one engine runs on, with a new owner's sink."""
        source_id = self.source.source_id
        return Parts(
            source=self.source,
            fetcher=self.api,
            intake=self.intake,
            spool=self.spool,
            sink=FakeSink(self.kafka, source_id, clock=self.clock, crash=self.crash),
            lag=self.lag,
            archive=self.archive,
            observer=self.events,
            clock=self.clock,
            crash=self.crash,
        )

    def engine(self, permissions: Permissions | None = None) -> Engine:
        """A new engine: for one run."""
        return Engine(self.settings, self.parts(), permissions)

    def run_once(self, permissions: Permissions | None = None) -> RunSummary:
        """Poll once and deliver what waits."""
        return self.engine(permissions).run_once()

    def run_forever(self, for_s: float, stop: threading.Event | None = None) -> RunSummary:
        """Poll at the interval for so long (on the fake clock), then deliver what waits."""
        return self.engine().run_forever(stop or threading.Event(), for_s)


@contextmanager
def make_engine(
    source: Source,
    replies: Sequence[Reply] | Callable[[Request], Reply],
    directory: Path,
    *,
    kafka: FakeKafka | None = None,
    clock: FakeClock | None = None,
    routes: FakeRoutes | None = None,
    dlq_enabled: bool = True,
    lane: Lane = Lane.NORMAL,
    **settings: Any,
) -> Iterator[Bench]:
    """A source on a bench; its spool lies in `directory` and is closed at the end.

    `settings` are those of `EngineSettings`; `routes` say which topic and lane a record gets.
    """
    clock = clock or FakeClock()
    spool = Spool(
        SpoolSettings(
            directory=directory,
            source_id=source.source_id,
            window_s=source.window_s,
            min_free_disk_bytes=0,
        )
    )
    known = {"topics": (TOPIC,), "window_s": source.window_s, "dlq_enabled": dlq_enabled}
    try:
        yield Bench(
            source=source,
            api=FakeApi(replies, clock),
            kafka=kafka or FakeKafka(),
            clock=clock,
            spool=spool,
            settings=_settings(source.source_id, {**known, **settings}),
            intake=_intake(
                source, routes or FakeRoutes(TOPIC, lane), lane, dlq_enabled=dlq_enabled
            ),
        )
    finally:
        spool.close()


def _settings(source_id: str, known: dict[str, Any]) -> EngineSettings:
    return EngineSettings(source_id=source_id, dlq_topic=DLQ_TOPIC, **known)


def _intake(source: Source, routes: FakeRoutes, lane: Lane, *, dlq_enabled: bool) -> Intake:
    known = IntakeSettings(
        source_id=source.source_id,
        source_type=source.source_type,
        window_s=source.window_s,
        default_lane=lane,
        default_topic=TOPIC,
        dlq_topic=DLQ_TOPIC,
        dlq_enabled=dlq_enabled,
    )
    return Intake(known, routes)
