"""What users may import from `testing` does not change by accident."""

from __future__ import annotations

import wildfire_ingest.testing as public

SURFACE = [
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


def test_the_public_names_are_these() -> None:
    assert sorted(public.__all__) == SURFACE


def test_every_public_thing_says_what_it_is() -> None:
    things = [getattr(public, name) for name in SURFACE]

    assert [x for x in things if callable(x) and not isinstance(x, str) and not x.__doc__] == []
