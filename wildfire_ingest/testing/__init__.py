"""Fakes with which a test of a resource, an asset or a new source is a few lines.

They pass the same contract tests as the real parts; docs/testing.md has examples.
"""

from wildfire_ingest.testing.api import FakeApi, FakeCounters, Reply
from wildfire_ingest.testing.bench import DLQ_TOPIC, TOPIC, Bench, make_engine
from wildfire_ingest.testing.clock import FakeClock
from wildfire_ingest.testing.kafka import FakeKafka, Message
from wildfire_ingest.testing.parts import (
    Archived,
    FakeArchive,
    FakeLag,
    FakeRoutes,
    FakeSource,
    Reading,
    Recorder,
)
from wildfire_ingest.testing.sink import FakeSink

__all__ = [
    "Archived",
    "Bench",
    "DLQ_TOPIC",
    "FakeApi",
    "FakeArchive",
    "FakeClock",
    "FakeCounters",
    "FakeKafka",
    "FakeLag",
    "FakeRoutes",
    "FakeSink",
    "FakeSource",
    "Message",
    "Reading",
    "Recorder",
    "Reply",
    "TOPIC",
    "make_engine",
]
