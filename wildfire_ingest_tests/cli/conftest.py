"""The command line as a user has it: arguments in, exit code and two streams out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wildfire_ingest.cli.main import cli
from wildfire_ingest.simulator.replay import ReplaySite
from wildfire_ingest.simulator.server import SimulatorServer
from wildfire_ingest_tests.cli.answers import MAP_KEY, SOURCE


@pytest.fixture
def wildfire() -> Callable[..., Result]:
    """Runs a command: `wildfire("lint", path)`; the result has exit_code, stdout, stderr."""

    def invoke(*arguments: object, config: Path | None = None, **env: str | None) -> Result:
        before = ["--config", str(config)] if config else []
        settings = {"WILDFIRE_DEBUG": None, "WILDFIRE_ENV": None, "FIRMS_MAP_KEY": MAP_KEY, **env}
        return CliRunner().invoke(cli, [*before, *map(str, arguments)], env=settings)

    return invoke


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serves answers in order, one a poll: `replay(answer(1, 2), answer(3))` gives a base_url."""
    started: list[SimulatorServer] = []

    def serve(*bodies: bytes) -> str:
        folder = tmp_path / f"replay-{len(started)}"
        folder.mkdir()
        for number, body in enumerate(bodies):
            (folder / f"poll_{number}.csv").write_bytes(body)
        started.append(SimulatorServer(ReplaySite(folder)))
        return started[-1].start()

    yield serve
    for server in started:
        server.stop()


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration with one FIRMS source; keywords are added to its top level."""

    def write(
        *,
        bootstrap: str = "127.0.0.1:1",
        base_url: str = "http://127.0.0.1:9",
        source_id: str = SOURCE,
        kafka: dict[str, Any] | None = None,
        topics: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        **more: Any,
    ) -> Path:
        topics = topics or {"fires": {"partitions": 2}}
        one = {
            "source_type": "nasa_firms",
            "base_url": base_url,
            "topic": next(iter(topics)),
            "cache_ttl_seconds": 0,
            "rate_limit_per_minute": 60_000,
            "ingestion": {"mode": "real_time", "polling_interval_seconds": 1},
            "custom_params": {"product": "MODIS_NRT", "map_key": "${ENV:FIRMS_MAP_KEY}"},
            **(source or {}),
        }
        config = {
            "kafka": {"bootstrap_servers": bootstrap, "compression_type": "zstd", **(kafka or {})},
            "topics": topics,
            "state_dir": "state",
            "sources": {source_id: one},
            **more,
        }
        path = tmp_path / "stream_config.json"
        path.write_text(json.dumps(config))
        return path

    return write


@pytest.fixture
def on_kafka(kafka, fresh_name, write_config, wildfire):
    """A configuration on the real Kafka, with topics of its own that exist."""

    def prepare(base_url, *, sync=True, **more):
        source_id = fresh_name("firms").replace("-", "_")
        own = {
            "dlq_topic": fresh_name("dlq"),
            "offsets_topic": fresh_name("offsets"),
            **more.pop("kafka", {}),
        }
        path = write_config(
            bootstrap=kafka.bootstrap,
            base_url=base_url,
            source_id=source_id,
            kafka=own,
            topics={fresh_name("fires"): {"partitions": 2}},
            **more,
        )
        if sync:
            assert wildfire("topics", "sync", config=path).exit_code == 0
        return path

    return prepare
