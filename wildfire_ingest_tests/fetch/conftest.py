"""A server on loopback, a clock that is told the time, and clients of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wildfire_ingest.clock import SystemClock
from wildfire_ingest.fetch.client import ApiClient
from wildfire_ingest.fetch.settings import FetchSettings
from wildfire_ingest_tests.fetch.loopback import Server, ToldClock


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture
def make_client(
    tmp_path: Path, server: Server, clock: ToldClock
) -> Iterator[Callable[..., ApiClient]]:
    made: list[ApiClient] = []

    def make(**changes: Any) -> ApiClient:
        given: Any = SystemClock() if changes.pop("real_time", False) else clock
        known: dict[str, Any] = {
            "source_id": "fires",
            "base_url": server.url,
            "state_dir": tmp_path / "state",
            "cache_ttl_s": 0,
            **changes,
        }
        made.append(ApiClient(FetchSettings(**known), given))
        return made[-1]

    yield make
    for one in made:
        one.close()
