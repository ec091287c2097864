"""Streams for fault tests; every process of theirs ends with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wildfire_ingest.simulator.replay import read_recording
from wildfire_ingest_tests.faults.fires import six_polls
from wildfire_ingest_tests.faults.harness import Stream


@pytest.fixture
def stream(kafka, tmp_path) -> Iterator[Callable[..., Stream]]:
    """Makes streams: `stream(polls, **settings)`; six generated polls where none are given."""
    made: list[Stream] = []

    def make(polls: list[bytes] | None = None, **settings: Any) -> Stream:
        bootstrap = settings.pop("bootstrap", kafka.bootstrap)
        folder = tmp_path / f"stream{len(made)}"
        made.append(Stream(bootstrap, folder, polls or six_polls(), **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def modis_polls(samples) -> list[bytes]:
    """The recorded polls of MODIS, in their order."""
    return recorded(samples, "derived_polls_modis_global_24h", "poll_*")


def recorded(samples: Path, folder: str, names: str) -> list[bytes]:
    paths = sorted((samples / "firms" / folder).glob(names), key=lambda path: path.name)
    return [read_recording(path) for path in paths]
