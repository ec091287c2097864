"""A client of the simulator that hides nothing: status, headers and body as they came."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from wildfire_ingest.simulator.faults import FaultPlan
from wildfire_ingest.simulator.server import SimulatorServer, Site


@pytest.fixture
def serve() -> Iterator[Callable[..., SimulatorServer]]:
    """Starts a site: `serve(site, now_us=..., faults=...)`; stopped at the end."""
    started: list[SimulatorServer] = []

    def start(site: Site, **options: Any) -> SimulatorServer:
        server = SimulatorServer(site, **options)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def get() -> Iterator[Callable[..., requests.Response]]:
    """GETs a path of a server."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(server: SimulatorServer, path: str, **options: Any) -> requests.Response:
            return session.get(server.base_url + path, timeout=10, **options)

        yield ask


@pytest.fixture
def post() -> Iterator[Callable[..., requests.Response]]:
    """POSTs JSON to a control command of a server."""
    with requests.Session() as session:
        session.trust_env = False

        def ask(server: SimulatorServer, command: str, value: object = None) -> requests.Response:
            return session.post(f"{server.base_url}/_simulator/{command}", json=value, timeout=10)

        yield ask


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan()
