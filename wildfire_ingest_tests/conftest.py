"""Fixtures of the whole suite: a real Apache Kafka, recorded answers, fresh topics.

WILDFIRE_SAMPLES names the folder of recorded API answers.  WILDFIRE_REQUIRE_ALL=1 turns a test
that would be skipped, because Kafka or the recordings are missing, into a failure.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from wildfire_ingest.simulator import brokers
from wildfire_ingest.simulator.brokers import ApacheKafka
from wildfire_ingest.simulator.brokers_process import free_ports

SAMPLES_VARIABLE = "WILDFIRE_SAMPLES"
REQUIRE_VARIABLE = "WILDFIRE_REQUIRE_ALL"
MISSING = pytest.StashKey[dict[str, str]]()


def _without(config: pytest.Config, what: str, reason: str) -> None:
    """Skip, or fail where everything is required; either way the summary says it loudly."""
    config.stash.setdefault(MISSING, {})[what] = reason
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_VARIABLE}=1, but {what} is missing: {reason}", pytrace=False)
    pytest.skip(f"{what}: {reason}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for what, reason in config.stash.get(MISSING, {}).items():
        terminalreporter.write_sep("!", f"NOT TESTED: {what}", red=True, bold=True)
        terminalreporter.write_line(f"  {reason}")


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """One Apache Kafka for all tests; a test that stops it starts it again.

    Its PROXIED listener sends its clients to `advertised_port`, where a test may run a FaultProxy.
    """
    missing = brokers.missing_requirements(brokers.KAFKA)
    if missing:
        _without(request.config, "Apache Kafka", missing)
    (proxy_port,) = free_ports(1)
    server = ApacheKafka(tmp_path_factory.mktemp("kafka"), advertised_port=proxy_port)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def samples(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded API answers."""
    named = os.environ.get(SAMPLES_VARIABLE, "")
    if not named:
        _without(request.config, "recorded answers", f"{SAMPLES_VARIABLE} is not set")
    folder = Path(named)
    if not folder.is_dir():
        _without(request.config, "recorded answers", f"{SAMPLES_VARIABLE}={named} is no folder")
    return folder


@pytest.fixture
def fresh_name() -> Callable[..., str]:
    """Makes names that no other test uses: `fresh_name("prefix")`."""
    return lambda prefix="topic": f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic(kafka: ApacheKafka, fresh_name: Callable[..., str]) -> Callable[..., str]:
    """Creates topics that no other test uses: `topic("prefix", partitions=4, config={})`."""

    def create(
        prefix: str = "topic", *, partitions: int = 4, config: dict[str, str] | None = None
    ) -> str:
        name = fresh_name(prefix)
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([new])[name].result(timeout=30)
        return name

    return create
