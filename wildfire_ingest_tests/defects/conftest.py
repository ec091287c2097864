"""A server on loopback for the tests that must see real requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wildfire_ingest_tests.fetch.loopback import Server


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()
